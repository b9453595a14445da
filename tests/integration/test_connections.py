"""The alias's own options are honoured: prefix, version, credentials, sockets, TLS, Sentinel."""

import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest
import redis
from django.core.exceptions import ImproperlyConfigured
from django_redis import get_redis_connection

from refcache import ReferenceCache
from refcache.core.events import StoreFailed
from refcache.core.operations import Read
from refcache.tiers.memory import MemoryStore
from refcache.tiers.redis_store import RedisStore
from tests.conftest import missing
from tests.integration.conftest import NewRegistry
from tests.integration.serving import new_name, ports_at_redis
from tests.integration.watching import LIMIT, in_new_loop, statements
from tests.servers.addresses import free_port
from tests.servers.bed import Bed
from tests.servers.process import ServerError, ServerProcess, wait_until
from tests.servers.redis_server import RedisServer
from tests.testapp.models import Customer
from tools.servers import find_redis

pytestmark = pytest.mark.django_db(transaction=True)

Configure = Callable[..., ReferenceCache]


@pytest.fixture
def configure(settings: Any, new_registry: NewRegistry) -> Iterator[Configure]:
    """Makes a registry that finds its own way to the Redis of CACHES."""
    assert new_registry.prefix
    made: list[ReferenceCache] = []

    def make(
        location: str | list[str], options: dict[str, Any] | None = None, **rest: Any
    ) -> ReferenceCache:
        settings.CACHES = {
            "default": {
                "BACKEND": "django_redis.cache.RedisCache",
                "LOCATION": location,
                "OPTIONS": options or {},
                **rest,
            }
        }
        registry = ReferenceCache()
        registry.register("testapp.Customer", ["name"], name="customer")
        made.append(registry)
        return registry

    yield make
    for registry in made:
        breaker: Any = registry.runtime.backend.store
        breaker.close()


def assert_works(registry: ReferenceCache) -> None:
    """Both ways in keep what they load, and writes reach it."""
    ann = Customer.objects.create(name="Ann")
    customers = registry["customer"]
    customers.get(ann.pk)
    with statements() as sent:
        assert customers.lookup([ann.pk]).provenance(ann.pk).tier == "redis"
        assert in_new_loop(customers.aget(ann.pk)) == customers.get(ann.pk)
    assert sent == []
    ann.name = "Bea"
    ann.save()
    found = in_new_loop(customers.aget(ann.pk))
    assert found is not None
    assert found.name == "Bea"
    assert registry.counts.of(StoreFailed) == 0


def assert_knows(registry: ReferenceCache, url: str, **options: Any) -> None:
    """Both ways in are told by the server who it is."""
    breaker: Any = registry.runtime.backend.store
    store = breaker.store
    assert isinstance(store, RedisStore)
    with redis.Redis.from_url(url, **options) as client:
        info: Any = client.info("server")
    read = Read([b"key"])
    heard = [store.perform(read), in_new_loop(store.aperform(read))]
    assert [each.incarnation for each in heard] == [int(info["run_id"][:12], 16)] * 2


def keys(url: str, **options: Any) -> list[bytes]:
    with redis.Redis.from_url(url, **options) as client:
        return sorted(key for key in client.scan_iter() if b"customer:1:" in key)


def test_keys_begin_with_the_aliass_prefix_and_version(
    configure: Configure, redis_server: RedisServer
) -> None:
    prefix = uuid.uuid4().hex
    registry = configure(redis_server.url, KEY_PREFIX=prefix, VERSION=3)

    assert_works(registry)

    (key,) = (key for key in keys(redis_server.url) if key.startswith(prefix.encode()))
    assert key.startswith(f"{prefix}:3:customer:1:".encode())


def test_the_database_number_is_the_aliass(configure: Configure, redis_server: RedisServer) -> None:
    url = redis_server.url.removesuffix("0") + "5"

    assert_works(configure(url))

    assert keys(url)


def test_the_password_is_the_aliass(
    configure: Configure, new_redis: Callable[..., RedisServer]
) -> None:
    server = new_redis()
    with redis.Redis.from_url(server.url) as client:
        client.config_set("requirepass", "secret word")

    assert_works(configure(server.url, {"PASSWORD": "secret word"}))

    assert keys(server.url, password="secret word")  # noqa: S106 - the test's own


def test_the_user_may_stand_in_the_url(
    configure: Configure, new_redis: Callable[..., RedisServer]
) -> None:
    server = new_redis()
    with redis.Redis.from_url(server.url) as client:
        client.execute_command("ACL", "SETUSER", "ann", "on", ">word", "~*", "+@all")
        client.execute_command("ACL", "SETUSER", "default", "off")
    url = server.url.replace("redis://", "redis://ann:word@")

    assert_works(configure(url))

    assert keys(url)


def test_a_wrong_password_is_an_outage_that_is_told(
    configure: Configure, new_redis: Callable[..., RedisServer]
) -> None:
    server = new_redis()
    with redis.Redis.from_url(server.url) as client:
        client.config_set("requirepass", "secret")
    registry = configure(server.url, {"PASSWORD": "wrong"})
    ann = Customer.objects.create(name="Ann")

    assert registry["customer"].get(ann.pk)
    assert registry.counts.of(StoreFailed) > 0


def test_a_unix_socket_is_used(configure: Configure, new_redis: Callable[..., RedisServer]) -> None:
    server = new_redis("--unixsocket", "socket", "--unixsocketperm", "777")
    registry = configure(f"unix://{server.process.folder / 'socket'}?db=2")

    assert_works(registry)

    assert keys(server.url.removesuffix("0") + "2")


@pytest.fixture
def certificate(bed: Bed) -> Path:
    """A certificate of 127.0.0.1 that vouches for itself; its key lies beside it."""
    openssl = shutil.which("openssl") or missing("openssl")
    folder = bed.folder / f"tls-{free_port()}"
    folder.mkdir()
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", folder / "key.pem", "-out", folder / "certificate.pem"),
        ],
        check=True,
        capture_output=True,
    )
    (folder / "key.pem").chmod(0o644)  # for the user that the server runs as
    return folder / "certificate.pem"


def test_tls_is_spoken_and_the_certificate_is_checked(
    configure: Configure, new_redis: Callable[..., RedisServer], certificate: Path
) -> None:
    port = free_port()
    try:
        server = new_redis(
            *("--tls-port", str(port), "--tls-auth-clients", "no"),
            *("--tls-cert-file", str(certificate)),
            *("--tls-key-file", str(certificate.with_name("key.pem"))),
        )
    except ServerError as exc:
        if "tls-port" not in str(exc):
            raise
        missing("A redis-server that speaks TLS")
    trusted = {"CONNECTION_POOL_KWARGS": {"ssl_ca_certs": str(certificate)}}

    registry = configure(f"rediss://127.0.0.1:{port}/0", trusted)
    assert_works(registry)
    assert_knows(registry, server.url)

    assert keys(server.url)
    stranger = configure(f"rediss://127.0.0.1:{port}/0")
    ann = Customer.objects.create(name="Ann")
    assert stranger["customer"].get(ann.pk) == in_new_loop(stranger["customer"].aget(ann.pk))
    assert stranger.counts.of(StoreFailed) > 0


@pytest.fixture
def sentinel(bed: Bed, new_redis: Callable[..., RedisServer]) -> Iterator[tuple[int, RedisServer]]:
    """The port of a sentinel, and the server that it calls the primary of `town`."""
    primary, port = new_redis(), free_port()
    process = ServerProcess(find_redis() or missing("redis-server"), bed.folder / f"s-{port}")
    file = process.folder / "sentinel.conf"
    file.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {process.folder}\n"
        f"sentinel monitor town 127.0.0.1 {primary.port} 1\n"
    )
    shutil.copystat(process.folder, file)
    shutil.chown(file, process.folder.stat().st_uid, process.folder.stat().st_gid)

    def knows_primary() -> bool:
        try:
            with redis.Redis(port=port) as client:
                return bool(client.sentinel_get_master_addr_by_name("town"))
        except redis.RedisError:
            return False

    process.start([str(file), "--sentinel"], knows_primary)
    yield port, primary
    process.end(SIGKILL)


def test_sentinel_names_the_primary(
    configure: Configure, sentinel: tuple[int, RedisServer], settings: Any
) -> None:
    port, primary = sentinel
    settings.DJANGO_REDIS_CONNECTION_FACTORY = "django_redis.pool.SentinelConnectionFactory"
    options = {
        "CLIENT_CLASS": "django_redis.client.SentinelClient",
        "SENTINELS": [("127.0.0.1", port)],
    }

    registry = configure("redis://town/4", options)
    assert_works(registry)
    assert_knows(registry, primary.url)

    assert keys(primary.url.removesuffix("0") + "4")


def test_connections_to_sentinels_are_closed_with_the_others(
    configure: Configure, sentinel: tuple[int, RedisServer], settings: Any
) -> None:
    port, _ = sentinel
    settings.DJANGO_REDIS_CONNECTION_FACTORY = "django_redis.pool.SentinelConnectionFactory"
    options = {
        "CLIENT_CLASS": "django_redis.client.SentinelClient",
        "SENTINELS": [("127.0.0.1", port)],
    }
    registry = configure("redis://town/4", options)
    registry["customer"].get(1)

    with redis.Redis(port=port) as client:
        assert len(client.client_list()) > 1

        breaker: Any = registry.runtime.backend.store
        breaker.close()

        wait_until(lambda: len(client.client_list()) == 1, LIMIT)


def test_new_settings_close_the_connections_of_the_former(
    configure: Configure, client: redis.Redis, redis_server: RedisServer, settings: Any
) -> None:
    name = new_name()
    registry = configure(f"{redis_server.url}?client_name={name}")
    registry["customer"].get(1)
    assert ports_at_redis(client, name)

    settings.REFCACHE = {"TIMEOUT": 4.0}

    wait_until(lambda: not ports_at_redis(client, name), LIMIT)


def test_only_the_primary_is_read(
    configure: Configure, new_redis: Callable[..., RedisServer]
) -> None:
    # It waits for further replicas otherwise, five seconds.
    primary = new_redis("--repl-diskless-sync-delay", "0")
    replica = new_redis("--replicaof", "127.0.0.1", str(primary.port))
    with redis.Redis.from_url(replica.url) as client:
        wait_until(lambda: client.info("replication")["master_link_status"] == "up", 30.0)

        # django-redis writes to the first and reads from the others.
        assert_works(configure([primary.url, replica.url]))

        client.config_resetstat()
        assert_works(configure([primary.url, replica.url]))
        assert "cmdstat_mget" not in client.info("commandstats")


def test_a_connection_class_of_ones_own_is_used_by_coroutines_too(configure: Configure) -> None:
    import fakeredis  # noqa: PLC0415 - only here

    server = fakeredis.FakeServer()
    kwargs = {"connection_class": fakeredis.FakeRedisConnection, "server": server}
    registry = configure("redis://nowhere.invalid:1/0", {"CONNECTION_POOL_KWARGS": kwargs})

    assert_works(registry)

    with fakeredis.FakeRedis(server=server) as client:
        assert any(b"customer:1:" in key for key in client.scan_iter())


def test_timeouts_are_refcaches_and_the_aliass_own_pool_is_left_alone(
    configure: Configure, redis_server: RedisServer, settings: Any
) -> None:
    settings.REFCACHE = {"TIMEOUT": 2.5, "CONNECT_TIMEOUT": 1.5, "MAX_CONNECTIONS": 7}
    kwargs = {"socket_timeout": 77, "decode_responses": True, "max_connections": 50}
    options = {"SOCKET_TIMEOUT": 66, "CONNECTION_POOL_KWARGS": kwargs}
    # An address of its own, as django-redis would hand this pool to whoever uses the same one.
    registry = configure(redis_server.url.replace("127.0.0.1", "localhost"), options)
    assert_works(registry)

    breaker: Any = registry.runtime.backend.store
    store = breaker.store
    assert isinstance(store, RedisStore)
    pool = store._client.connection_pool
    assert pool.max_connections == 7
    assert pool.connection_kwargs["socket_timeout"] == 2.5
    assert pool.connection_kwargs["socket_connect_timeout"] == 1.5
    assert kwargs == {"socket_timeout": 77, "decode_responses": True, "max_connections": 50}
    assert get_redis_connection("default").connection_pool is not pool


def test_another_alias_may_be_named(
    configure: Configure, redis_server: RedisServer, settings: Any
) -> None:
    registry = configure("redis://nowhere.invalid:1/0")
    prefix = uuid.uuid4().hex
    settings.CACHES = settings.CACHES | {
        "other": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": redis_server.url,
            "KEY_PREFIX": prefix,
        }
    }
    settings.REFCACHE = settings.REFCACHE | {"CACHE": "other"}

    assert_works(registry)

    assert any(key.startswith(prefix.encode()) for key in keys(redis_server.url))


def test_local_memory_serves_one_process(configure: Configure, settings: Any) -> None:
    registry = configure("unused")
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

    assert_works(registry)

    breaker: Any = registry.runtime.backend.store
    assert isinstance(breaker.store, MemoryStore)


def test_a_backend_that_is_no_redis_is_refused(configure: Configure, settings: Any) -> None:
    registry = configure("unused")
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
            "LOCATION": "unused",
        }
    }

    with pytest.raises(ImproperlyConfigured, match=r"'default', whose backend is .*FileBasedCache"):
        registry["customer"].get(1)
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}


def reversing(key: str, prefix: str, version: int) -> str:
    return f"{key}:{prefix}:{version}"


def test_a_key_function_that_does_not_prefix_is_refused(
    configure: Configure, redis_server: RedisServer, settings: Any
) -> None:
    registry = configure(redis_server.url, KEY_FUNCTION=f"{__name__}.reversing")

    with pytest.raises(ImproperlyConfigured, match="KEY_FUNCTION that turns 'refcache' into"):
        registry["customer"].get(1)
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
