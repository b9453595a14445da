"""A server that is none, or a network that lets through half of it: reads go on, bounded."""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from refcache.conf import Conf
from refcache.connections import place_of
from refcache.core.exceptions import StoreUnavailable
from refcache.core.operations import Claim, ClaimGroup, Entries, Mark, Read, WriteGroup
from refcache.tiers.redis_store import RedisStore
from tests.servers.odd_server import OddServer
from tests.servers.redis_server import RedisServer

NewStore = Callable[..., RedisStore]
Perform = Callable[[RedisStore, Any], Any]

KEY = b"broken wire:1"
CLAIM = Claim(
    [ClaimGroup(b"broken wire:epoch", b"schema 1....", [KEY], 1)], b"t" * 8, b"e" * 12, 1, {}
)
MARK = Mark([WriteGroup(b"broken wire:epoch", (b"schema 1....",), [KEY])], b"t" * 8, b"e" * 12, 1)
LONG = 5.0  # seconds, for a loaded machine
SHORT = 0.05

GARBAGE = {
    "another protocol": b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
    "random bytes": bytes(range(128, 256)),
    "a number that is none": b"$abc\r\n",
    "a length that is none": b"*-7\r\n:x\r\n",
    "an array in an array": b"*1\r\n" * 2000 + b":1\r\n",
    "a word": b"+OK\r\n",
    "a number": b":7\r\n",
    "nothing": b"_\r\n",
    "a map": b"%1\r\n+a\r\n+b\r\n",
    "a set": b"~1\r\n*1\r\n:1\r\n",
    "a broken double": b",1.x\r\n",
    "a broken boolean": b"#x\r\n",
    "too many replies": b"*1\r\n$-1\r\n" * 3,
    "an error": b"-ERR nonsense\r\n",
    "an error without a text": b"-\r\n",
    "an error that moves": b"-MOVED\r\n",
    "bad text": b"-ERR \xff\xfe\r\n",
}


@pytest.fixture
def new_store(settings: Any) -> Iterator[NewStore]:
    stores: list[RedisStore] = []

    def make(url: str, timeout: float = LONG, **options: Any) -> RedisStore:
        settings.CACHES = {
            "default": {
                "BACKEND": "django_redis.cache.RedisCache",
                "LOCATION": url,
                "OPTIONS": options,
            }
        }
        store = place_of(Conf(timeout=timeout, connect_timeout=timeout)).store
        assert isinstance(store, RedisStore)
        stores.append(store)
        return store

    yield make
    for store in stores:
        store.close()


def threaded(store: RedisStore, operation: Any) -> Any:
    return store.perform(operation)


@pytest.fixture(params=["threads", "loops"])
def perform(request: pytest.FixtureRequest) -> Iterator[Perform]:
    """One loop for a test, so that its connections are kept between operations."""
    if request.param == "threads":
        yield threaded
        return
    with asyncio.Runner() as runner:
        yield lambda store, operation: runner.run(store.aperform(operation))


def after(prefix: bytes, odd: bytes) -> Callable[[bytes], bytes]:
    """Odd bytes in place of replies that begin so."""
    return lambda reply: odd if reply.startswith(prefix) else reply


@pytest.mark.parametrize("kind", GARBAGE)
def test_garbage_is_an_outage_and_is_not_read_again(
    redis_server: RedisServer, new_store: NewStore, perform: Perform, kind: str
) -> None:
    with OddServer(redis_server.port) as server:
        # Garbage that takes the place of two replies leaves one that is waited for.
        store = new_store(server.url, timeout=1.0)
        good = perform(store, Read([KEY]))
        server.odd = lambda _: GARBAGE[kind]
        for operation in (Read([KEY, b"another"]), MARK):
            with pytest.raises(StoreUnavailable):
                perform(store, operation)

        server.odd = lambda reply: reply
        for _ in range(3):
            again = perform(store, Read([KEY]))
            assert again.raws == good.raws == [None]
            assert again.incarnation == good.incarnation > 0


@pytest.mark.parametrize("kind", GARBAGE)
def test_a_server_that_is_no_redis_is_an_outage(
    new_store: NewStore, perform: Perform, kind: str
) -> None:
    with OddServer() as server:
        server.odd = lambda _: GARBAGE[kind]
        # What looks like the beginning of a reply is waited for.
        store = new_store(server.url, timeout=0.2)

        for operation in (Read([KEY]), CLAIM):
            with pytest.raises(StoreUnavailable):
                perform(store, operation)


def test_a_reply_that_comes_late_is_not_the_reply_to_another_command(
    redis_server: RedisServer, new_store: NewStore, perform: Perform
) -> None:
    """Also on a Sentinel's connections, which redis-py returns to the pool with it to come."""
    held: list[bytes] = []

    def hold(reply: bytes) -> bytes:
        held.append(reply)
        return b""

    with OddServer(redis_server.port) as server:
        store = new_store(server.url, timeout=0.2)
        perform(store, Read([KEY]))
        server.odd = hold
        with pytest.raises(StoreUnavailable):
            perform(store, Read([b"one", b"two"]))

        server.odd = lambda reply: b"".join(held) + reply
        held.clear()
        assert perform(store, Read([KEY])).raws == [None]


def test_a_sentinels_connection_is_closed_when_its_reply_is_late() -> None:
    from redis.sentinel import Sentinel  # noqa: PLC0415 - only here

    with OddServer() as server:
        server.odd = lambda _: b""
        manager: Any = Sentinel([])  # type: ignore[no-untyped-call]  # theirs
        pool = manager.master_for("town", socket_timeout=SHORT, protocol=2).connection_pool
        pool.get_master_address = lambda: ("127.0.0.1", server.port)
        pool.proxy.get_master_address = pool.get_master_address
        connection = pool.make_connection()
        connection.redis_connect_func = lambda _: None
        connection.connect()
        connection._parser.on_connect(connection)
        pool.get_connection = lambda: connection
        pool.release = lambda _: None

        with pytest.raises(StoreUnavailable, match="Timeout"):
            RedisStore(redis.Redis(connection_pool=pool)).perform(MARK)

        assert connection._sock is None


def test_a_coroutine_is_bounded_though_the_server_drips(
    redis_server: RedisServer, new_store: NewStore
) -> None:
    async def read() -> float:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match="Time"):
            await store.aperform(Read([KEY]))
        return time.monotonic() - began

    with OddServer(redis_server.port) as server:
        store = new_store(server.url, timeout=SHORT)

        def drip(reply: bytes) -> bytes:
            for place in range(len(reply)):
                time.sleep(SHORT / 5)  # less than what a piece may take
                server.to_client.sendall(reply[place : place + 1])
            return b""

        server.odd = drip

        assert asyncio.run(read()) < LONG


def test_scripts_that_were_flushed_are_sent_once_and_then_known(
    redis_server: RedisServer, redis_client: redis.Redis, new_store: NewStore, perform: Perform
) -> None:
    store = new_store(redis_server.url)
    perform(store, CLAIM)
    redis_client.script_flush()
    redis_client.config_resetstat()

    for _ in range(3):
        perform(store, CLAIM)

    calls: Any = redis_client.info("commandstats")
    assert calls["cmdstat_eval"]["calls"] == 1
    assert calls["cmdstat_evalsha"]["calls"] == 3


def test_a_server_that_refuses_is_an_outage_and_keeps_its_connection(
    new_redis: Callable[..., RedisServer], new_store: NewStore, perform: Perform
) -> None:
    server = new_redis()
    store = new_store(server.url)
    perform(store, CLAIM)
    with redis.Redis.from_url(server.url) as client:
        connected: Any = client.info("stats")
        client.config_set("min-replicas-to-write", 1)
        for _ in range(3):
            with pytest.raises(StoreUnavailable, match=r"NOREPLICAS|ReadOnly"):
                perform(store, MARK)
        assert isinstance(perform(store, Read([KEY])), Entries)

        now: Any = client.info("stats")
    assert now["total_connections_received"] == connected["total_connections_received"]


def test_an_unauthenticated_server_is_an_outage(
    new_redis: Callable[..., RedisServer], new_store: NewStore, perform: Perform
) -> None:
    server = new_redis()
    with redis.Redis.from_url(server.url) as client:
        client.config_set("requirepass", "secret")

    with pytest.raises(StoreUnavailable, match="Authentication"):
        perform(new_store(server.url), MARK)


def test_a_replica_is_an_outage_for_what_writes(
    new_redis: Callable[..., RedisServer], new_store: NewStore, perform: Perform
) -> None:
    primary = new_redis("--repl-diskless-sync-delay", "0")
    replica = new_redis("--replicaof", "127.0.0.1", str(primary.port))

    with pytest.raises(StoreUnavailable, match=r"ReadOnly|READONLY"):
        perform(new_store(replica.url), CLAIM)
