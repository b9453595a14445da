"""Each connection knows which server it leads to, and which start of it."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from refcache.conf import Conf
from refcache.connections import place_of
from refcache.core.events import Event, ServerChanged
from refcache.core.exceptions import StoreUnavailable
from refcache.core.operations import Claim, ClaimGroup, Entries, Read
from refcache.tiers.redis_store import RedisStore
from tests.servers.redis_server import RedisServer

Configure = Callable[..., RedisStore]

KEY = b"incarnations:1"
READ = Read([KEY])
CLAIM = Claim(
    [ClaimGroup(b"incarnations:epoch", b"schema 1....", [KEY], 1)], b"t" * 8, b"e" * 12, 1, {}
)
LONG = 5.0  # seconds, for a loaded machine


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def configure(settings: Any, events: list[Event]) -> Iterator[Configure]:
    stores: list[RedisStore] = []

    def make(url: str, **options: Any) -> RedisStore:
        settings.CACHES = {
            "default": {
                "BACKEND": "django_redis.cache.RedisCache",
                "LOCATION": url,
                "OPTIONS": options,
            }
        }
        store = place_of(Conf(timeout=LONG, connect_timeout=LONG), events.append).store
        assert isinstance(store, RedisStore)
        stores.append(store)
        return store

    yield make
    for store in stores:
        store.close()


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


def run_id(url: str, **options: Any) -> int:
    """What the server says, as another client hears it."""
    with redis.Redis.from_url(url, **options) as client:
        info: Any = client.info("server")
        return int(info["run_id"][:12], 16)


def read(store: RedisStore) -> int:
    entries = store.perform(READ)
    assert isinstance(entries, Entries)
    return entries.incarnation


def aread(store: RedisStore, runner: asyncio.Runner) -> int:
    entries = runner.run(store.aperform(READ))
    assert isinstance(entries, Entries)
    return entries.incarnation


def test_it_is_of_the_servers_run_id(
    configure: Configure, redis_server: RedisServer, runner: asyncio.Runner, events: list[Event]
) -> None:
    store = configure(redis_server.url)

    expected = run_id(redis_server.url)

    assert [read(store), read(store), aread(store, runner)] == [expected] * 3
    assert 0 < expected < 1 << 48
    assert events == []


def test_a_restart_makes_another_one(
    configure: Configure,
    new_redis: Callable[..., RedisServer],
    runner: asyncio.Runner,
    events: list[Event],
) -> None:
    server = new_redis()
    store = configure(server.url)
    before = read(store)
    assert aread(store, runner) == before

    server.kill()
    server.start()

    after = run_id(server.url)
    assert after != before
    assert [aread(store, runner), read(store)] == [after] * 2
    assert events == [ServerChanged("", before, after)]


def test_a_server_that_was_flushed_or_reloaded_is_the_same(
    configure: Configure, new_redis: Callable[..., RedisServer]
) -> None:
    server = new_redis("--enable-debug-command", "yes")
    store = configure(server.url)
    before = read(store)
    with redis.Redis.from_url(server.url) as client:
        client.flushall()
        client.execute_command("DEBUG", "RELOAD")

    assert read(store) == before


class Switch:
    """Connects to one server or to another, as an address that a failover moves does."""

    def __init__(self, pool: Any, ports: list[int]) -> None:
        self._pool = pool
        self.ports = ports

    def to(self, place: int) -> None:
        self._pool.connection_kwargs["port"] = self.ports[place]
        for connection in self._pool._available_connections:
            connection.port = self.ports[place]


def test_idle_connections_to_a_former_server_are_not_used_again(
    configure: Configure, new_redis: Callable[..., RedisServer], events: list[Event]
) -> None:
    """Both still run: an address was moved, and only new connections see it."""
    servers = [new_redis(), new_redis()]
    ids = [run_id(each.url) for each in servers]
    store = configure(servers[0].url)
    pool: Any = store._client.connection_pool
    switch = Switch(pool, [each.port for each in servers])
    idle = [pool.get_connection() for _ in range(3)]
    for connection in idle:
        pool.release(connection)
    assert read(store) == ids[0]

    idle.pop().disconnect()  # the next one to be taken
    switch.to(1)

    assert read(store) == ids[1]
    taken = [pool.get_connection() for _ in range(3)]
    assert [store._incarnations.is_former(each) for each in taken] == [False, True, True]
    for connection in taken:  # so that a former one is the next
        pool.release(connection)
    assert [read(store) for _ in range(3)] == [ids[1]] * 3
    assert events == [ServerChanged("", *ids)]


def test_a_reply_tells_of_the_server_that_gave_it(
    configure: Configure, new_redis: Callable[..., RedisServer]
) -> None:
    """Another thread has heard of a newer server, while this one waited for the former's reply."""
    servers = [new_redis(), new_redis()]
    ids = [run_id(each.url) for each in servers]
    store = configure(servers[0].url)
    pool: Any = store._client.connection_pool
    assert read(store) == ids[0]
    connection = pool.get_connection()
    Switch(pool, [each.port for each in servers]).to(1)
    assert read(store) == ids[1]

    assert store._incarnations.of(connection) == ids[0]
    pool.release(connection)


def test_another_servers_clock_is_not_trusted(
    configure: Configure, new_redis: Callable[..., RedisServer]
) -> None:
    servers = [new_redis(), new_redis()]
    store = configure(servers[0].url)
    pool: Any = store._client.connection_pool
    true = store.perform(READ).now
    store._clock.set(7, store._clock.sent())  # as if the first server's clock were behind
    assert store.perform(READ).now < true / 2
    pool.disconnect()
    Switch(pool, [each.port for each in servers]).to(1)

    assert store.perform(READ).now > true / 2


def test_where_the_question_is_not_allowed_it_is_unknown(
    configure: Configure, new_redis: Callable[..., RedisServer], runner: asyncio.Runner
) -> None:
    server = new_redis()
    with redis.Redis.from_url(server.url) as client:
        client.execute_command("ACL", "SETUSER", "ann", "on", ">word", "~*", "+@all", "-info")
    store = configure(server.url.replace("redis://", "redis://ann:word@"))

    assert [read(store), aread(store, runner)] == [0, 0]
    assert store.perform(CLAIM)
    with pytest.raises(StoreUnavailable, match=r"INFO: NoPermission|permissions"):
        store.info("memory")


def test_a_fake_has_none(configure: Configure) -> None:
    import fakeredis  # noqa: PLC0415 - only here

    kwargs = {"connection_class": fakeredis.FakeRedisConnection, "server": fakeredis.FakeServer()}

    assert read(configure("redis://nowhere.invalid:1/0", CONNECTION_POOL_KWARGS=kwargs)) == 0


def test_a_unix_socket_leads_to_the_same(
    configure: Configure, new_redis: Callable[..., RedisServer], runner: asyncio.Runner
) -> None:
    server = new_redis("--unixsocket", "socket", "--unixsocketperm", "777")
    store = configure(f"unix://{server.process.folder / 'socket'}")

    assert [read(store), aread(store, runner)] == [run_id(server.url)] * 2


def test_ones_own_handshake_is_made_first_also_for_coroutines(
    configure: Configure, redis_server: RedisServer, runner: asyncio.Runner
) -> None:
    names = []

    def greet(connection: Any) -> None:
        connection.on_connect()
        connection.send_command("CLIENT", "SETNAME", "greeted")
        names.append(connection.read_response())

    kwargs = {"redis_connect_func": greet}
    store = configure(redis_server.url, CONNECTION_POOL_KWARGS=kwargs)

    assert [read(store), aread(store, runner)] == [run_id(redis_server.url)] * 2
    assert names == [b"OK"]
    assert kwargs == {"redis_connect_func": greet}
    with redis.Redis.from_url(redis_server.url) as client:
        clients: Any = client.client_list()
        assert [each["cmd"] for each in clients if each["name"] == "greeted"] == ["mget"]


def test_it_costs_a_round_trip_per_connection(
    configure: Configure, redis_server: RedisServer, redis_client: redis.Redis
) -> None:
    store = configure(redis_server.url)
    redis_client.config_resetstat()

    for _ in range(5):
        read(store)

    calls: Any = redis_client.info("commandstats")
    assert calls["cmdstat_info"]["calls"] == 1  # this question is counted in the next one only
    assert calls["cmdstat_mget"]["calls"] == 5


def test_a_handshake_that_fails_leaves_no_half_greeted_connection(
    configure: Configure, redis_server: RedisServer
) -> None:
    failures = [TypeError("ours"), redis.ResponseError("theirs")]

    def greet(connection: Any) -> None:
        connection.on_connect()
        if failures:
            connection.send_command("PING")  # whose reply nobody reads
            raise failures.pop()

    store = configure(redis_server.url, CONNECTION_POOL_KWARGS={"redis_connect_func": greet})
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            store.perform(READ)

    assert read(store) == run_id(redis_server.url)


def test_without_anybody_to_be_told_it_is_logged(
    settings: Any, new_redis: Callable[..., RedisServer], caplog: pytest.LogCaptureFixture
) -> None:
    server = new_redis()
    settings.CACHES = {
        "default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": server.url}
    }
    store = place_of(Conf(timeout=LONG, connect_timeout=LONG)).store
    assert isinstance(store, RedisStore)
    before = read(store)
    server.kill()
    server.start()

    with caplog.at_level(logging.WARNING, "refcache"):
        after = read(store)
    store.close()

    assert caplog.messages == [repr(ServerChanged("", before, after))]
