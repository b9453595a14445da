"""The store of a CACHES alias: its server, credentials and prefix, through pools of our own.

django-redis shares its pools by URL, with whatever timeouts the first alias had, and may read from
replicas; so its configuration is used, and its pools are not.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import redis
import redis.asyncio
from django.conf import settings
from django.core.cache import BaseCache, caches
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.exceptions import ImproperlyConfigured
from django_redis.cache import RedisCache
from django_redis.client import DefaultClient
from django_redis.pool import get_connection_factory
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry as AsyncRetry
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.asyncio.sentinel import SentinelConnectionPool as AsyncSentinelPool
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import SentinelConnectionPool

from refcache.conf import Conf
from refcache.core.events import Event
from refcache.core.stores import Store
from refcache.tiers.incarnation import Incarnations, log_change
from refcache.tiers.memory import MemoryStore
from refcache.tiers.null import NullStore
from refcache.tiers.redis_store import RedisStore

# A connection that died while it was idle is opened anew, once; a server that is silent is not
# asked twice, so that the timeout bounds the call.
RETRIES = 1

REFUSED = (
    "has an option that its connections do not take: look at the query of its LOCATION, and at "
    "CONNECTION_POOL_KWARGS in its OPTIONS"
)

# redis-py's client-side cache hears of a mark only after the writer has gone on.
CLIENT_CACHES = ("cache", "cache_config")

ASYNC_CONNECTIONS: dict[type, type[AbstractConnection]] = {
    redis.Connection: redis.asyncio.Connection,
    redis.SSLConnection: redis.asyncio.SSLConnection,
    redis.UnixDomainSocketConnection: redis.asyncio.UnixDomainSocketConnection,
}


# What the asyncio connections take as the others do; redis-py adds state of its own to the rest.
ASYNC_OPTIONS = frozenset(
    {
        "client_name",
        "credential_provider",
        "db",
        "health_check_interval",
        "host",
        "password",
        "path",
        "port",
        "protocol",
        "socket_connect_timeout",
        "socket_keepalive",
        "socket_keepalive_options",
        "socket_timeout",
        "username",
    }
)


class Place(NamedTuple):
    """Where entries go: the store, and what every key begins with."""

    store: Store
    prefix: bytes


def place_of(conf: Conf, emit: Callable[[Event], None] = log_change) -> Place:
    """The store that `REFCACHE["CACHE"]` names. No connection is opened.

    Args:
        conf: The settings.
        emit: Is told of `ServerChanged`.

    Raises:
        ImproperlyConfigured: The alias is no Redis, its keys cannot be built by a prefix, or its
            connections do not take its options.
    """
    prefix = key_prefix(conf.cache)
    with _blamed_on(conf.cache, "cannot be connected to"):
        cache = caches[conf.cache]
        if isinstance(cache, DummyCache):
            return Place(NullStore(), prefix)
        if isinstance(cache, LocMemCache):
            return Place(MemoryStore(), prefix)
        _check_backend(conf.cache, cache)
        return Place(_redis_store(conf, Incarnations(emit)), prefix)


@contextmanager
def _blamed_on(alias: str, fault: str) -> Iterator[None]:
    """Name the alias in whatever is raised: its options and its classes are the project's.

    Raises:
        ImproperlyConfigured: In place of any other error.
    """
    try:
        yield
    except ImproperlyConfigured:
        raise
    except Exception as exc:
        raise ImproperlyConfigured(
            f"CACHES[{alias!r}] {fault} ({type(exc).__name__}: {exc})."
        ) from exc


def _redis_store(conf: Conf, incarnations: Incarnations) -> RedisStore:
    pool = _own_pool(conf.cache, conf)
    make_async_pool = _async_pool(pool, conf, incarnations)
    _greet_by(pool, incarnations)
    with _blamed_on(conf.cache, REFUSED):  # Made as the pool will, which does not open it.
        pool.connection_class(**pool.connection_kwargs)
    client = redis.Redis(connection_pool=pool)
    if make_async_pool is None:
        return RedisStore(client, incarnations=incarnations)
    with _blamed_on(conf.cache, REFUSED):
        make_async_pool().make_connection()  # type: ignore[no-untyped-call]  # theirs
    return RedisStore(
        client,
        lambda: redis.asyncio.Redis(connection_pool=make_async_pool()),
        incarnations=incarnations,
        limit=conf.connect_timeout + 2 * conf.timeout,  # to connect, to be greeted, to be answered
    )


def _greet_by(pool: redis.ConnectionPool, incarnations: Incarnations) -> None:
    own = pool.connection_kwargs.get("redis_connect_func")
    pool.connection_kwargs["redis_connect_func"] = incarnations.greeting(own)


def key_prefix(alias: str) -> bytes:
    """What the alias puts before a key: its own prefix and version.

    Raises:
        ImproperlyConfigured: Its KEY_FUNCTION does something else, or it cannot be made.
    """
    with _blamed_on(alias, "cannot make a key"):
        made = str(caches[alias].make_key("refcache"))
    if not made.endswith("refcache"):
        raise ImproperlyConfigured(
            f"CACHES[{alias!r}] has a KEY_FUNCTION that turns 'refcache' into {made!r}: refcache "
            "needs one that puts a prefix before the key, as Django's does. Give refcache an alias "
            "of its own."
        )
    return made.removesuffix("refcache").encode()


def _own_pool(alias: str, conf: Conf) -> redis.ConnectionPool:
    """A pool to the alias's primary, made by the connection factory that its options name."""
    configured: dict[str, Any] = settings.CACHES[alias]
    options: dict[str, Any] = dict(configured.get("OPTIONS", {}))
    timeouts = {"socket_timeout": conf.timeout, "socket_connect_timeout": conf.connect_timeout}
    own = options.get("CONNECTION_POOL_KWARGS", {})
    options["CONNECTION_POOL_KWARGS"] = {
        **{name: value for name, value in own.items() if name not in CLIENT_CACHES},
        "max_connections": conf.max_connections,
    }
    options["SENTINEL_KWARGS"] = {**timeouts, **options.get("SENTINEL_KWARGS", {})}
    location = configured["LOCATION"]
    addresses = location.split(",") if isinstance(location, str) else location
    factory = get_connection_factory(options=options)
    # The first address is the primary's; django-redis reads from the others.
    pool: redis.ConnectionPool = factory.get_connection_pool(
        factory.make_connection_params(addresses[0])
    )
    _have_own_way(pool, conf, timeouts)
    return pool


def _have_own_way(pool: redis.ConnectionPool, conf: Conf, timeouts: dict[str, float]) -> None:
    """What refcache relies on, whatever the address's query or the options say."""
    pool.max_connections = conf.max_connections
    if isinstance(pool, redis.BlockingConnectionPool):
        pool.timeout = conf.timeout
    for name in ("retry_on_timeout", "retry_on_error"):
        pool.connection_kwargs.pop(name, None)
    pool.connection_kwargs |= timeouts
    pool.connection_kwargs |= {
        "decode_responses": False,
        "retry": Retry(NoBackoff(), RETRIES, supported_errors=(redis.ConnectionError,)),
    }


def _check_backend(alias: str, cache: BaseCache) -> None:
    if not isinstance(cache, RedisCache) or not isinstance(cache.client, DefaultClient):
        raise ImproperlyConfigured(
            f"REFCACHE['CACHE'] names {alias!r}, whose backend is {type(cache).__module__}."
            f"{type(cache).__qualname__}: give an alias of django_redis.cache.RedisCache with its "
            "default or its Sentinel client (locmem serves for development)."
        )


def _async_pool(
    pool: redis.ConnectionPool, conf: Conf, incarnations: Incarnations
) -> Callable[[], redis.asyncio.ConnectionPool] | None:
    """Makes a pool for the running loop, configured as *pool*.

    None where asyncio has no such connection class, as for one of the project's own, or where the
    project greets servers in a way of its own, which awaits nothing.
    """
    if "redis_connect_func" in pool.connection_kwargs:
        return None
    connection_class = ASYNC_CONNECTIONS.get(pool.connection_class)
    make_pool: Callable[..., redis.asyncio.ConnectionPool]
    if isinstance(pool, SentinelConnectionPool):
        make_pool = partial(_async_sentinel_pool, pool)
    elif connection_class is not None:
        make_pool = partial(redis.asyncio.ConnectionPool, connection_class)
    else:
        return None
    kwargs: dict[str, Any] = {
        name: value
        for name, value in pool.connection_kwargs.items()
        if name in ASYNC_OPTIONS or name.startswith("ssl_")
    }
    kwargs["max_connections"] = conf.max_connections
    kwargs["retry"] = AsyncRetry(NoBackoff(), RETRIES, (redis.ConnectionError,))
    kwargs["redis_connect_func"] = incarnations.agreet
    return partial(make_pool, **kwargs)


def _async_sentinel_pool(pool: SentinelConnectionPool, **kwargs: Any) -> AsyncSentinelPool:
    manager = pool.sentinel_manager
    known = [each.connection_pool.connection_kwargs for each in manager.sentinels]
    addresses = [(each["host"], each["port"]) for each in known]
    sentinel = AsyncSentinel(addresses, sentinel_kwargs=manager.sentinel_kwargs)  # type: ignore[no-untyped-call]  # theirs
    return _SentinelPool(pool.service_name, sentinel, **kwargs)  # type: ignore[no-untyped-call]  # theirs


class _SentinelPool(AsyncSentinelPool):
    """Ends with its connections to the sentinels; redis-py's leaves them open."""

    async def disconnect(self, inuse_connections: bool = True) -> None:  # noqa: FBT001, FBT002 - theirs
        await super().disconnect(inuse_connections)
        for each in self.sentinel_manager.sentinels:
            await each.aclose()
