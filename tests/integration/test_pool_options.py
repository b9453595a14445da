"""What the alias's address or options say of timeouts and replies does not override REFCACHE."""

from typing import Any

import pytest
import redis

from refcache import ReferenceCache
from refcache.core.events import StoreFailed
from refcache.tiers.redis_store import RedisStore
from tests.integration.conftest import NewRegistry
from tests.integration.watching import in_new_loop
from tests.servers.redis_server import RedisServer
from tests.testapp.models import Customer

pytestmark = pytest.mark.django_db(transaction=True)

TIMEOUT, CONNECT_TIMEOUT, MAX_CONNECTIONS = 4.0, 3.0, 7

QUERY = (
    "socket_timeout=50&socket_connect_timeout=60&max_connections=3&decode_responses=true"
    "&retry_on_timeout=true"
)
POOL_KWARGS: dict[str, Any] = {
    "socket_timeout": 50,
    "socket_connect_timeout": 60,
    "max_connections": 3,
    "decode_responses": True,
    "retry_on_timeout": True,
}


@pytest.fixture(params=["the address", "the options"])
def registry(
    request: pytest.FixtureRequest,
    redis_server: RedisServer,
    new_registry: NewRegistry,
    settings: Any,
) -> ReferenceCache:
    is_in_url = request.param == "the address"
    location = f"{redis_server.url}?{QUERY}" if is_in_url else redis_server.url
    options = {} if is_in_url else {"CONNECTION_POOL_KWARGS": POOL_KWARGS}
    return make(new_registry, settings, location, options)


def make(
    new_registry: NewRegistry,
    settings: Any,
    location: str,
    options: dict[str, Any],
    **rest: Any,
) -> ReferenceCache:
    alias = settings.CACHES["default"] | {"LOCATION": location, "OPTIONS": options}
    settings.CACHES = {"default": alias}
    own = {
        "TIMEOUT": TIMEOUT,
        "CONNECT_TIMEOUT": CONNECT_TIMEOUT,
        "MAX_CONNECTIONS": MAX_CONNECTIONS,
    }
    settings.REFCACHE = own | rest
    registry = new_registry()
    registry.register("testapp.Customer", ["name"], name="customer")
    return registry


def store_of(registry: ReferenceCache) -> RedisStore:
    breaker: Any = registry.runtime.backend.store
    store = breaker.store
    assert isinstance(store, RedisStore)
    return store


def assert_bounded(pool: Any) -> None:
    connection = pool.make_connection()
    assert connection.socket_timeout == TIMEOUT
    assert connection.socket_connect_timeout == CONNECT_TIMEOUT
    assert connection.retry._retries == 1
    assert redis.TimeoutError not in connection.retry._supported_errors
    assert not connection.encoder.decode_responses
    assert pool.max_connections == MAX_CONNECTIONS


def test_threads_connect_as_refcache_says(registry: ReferenceCache) -> None:
    assert_bounded(store_of(registry)._client.connection_pool)


def test_event_loops_connect_as_refcache_says(registry: ReferenceCache) -> None:
    make_client = store_of(registry)._async_client
    assert make_client is not None

    assert_bounded(make_client().connection_pool)


def test_both_read_what_they_have_stored(registry: ReferenceCache) -> None:
    ann = Customer.objects.create(name="Ann")
    customers = registry["customer"]

    cold, warm = customers.get(ann.pk), customers.get(ann.pk)

    assert cold == warm == in_new_loop(customers.aget(ann.pk))
    assert customers.lookup([ann.pk]).provenance(ann.pk).tier == "redis"
    assert registry.counts.of(StoreFailed) == 0


def test_a_blocking_pool_that_is_exhausted_blocks_no_longer_than_the_timeout(
    new_registry: NewRegistry, redis_server: RedisServer, settings: Any
) -> None:
    options = {"CONNECTION_POOL_CLASS": "redis.BlockingConnectionPool"}
    short: dict[str, Any] = {"MAX_CONNECTIONS": 1, "TIMEOUT": 0.02}
    registry = make(new_registry, settings, redis_server.url, options, **short)
    ann = Customer.objects.create(name="Ann")
    pool: Any = store_of(registry)._client.connection_pool
    assert pool.timeout == 0.02

    taken = pool.get_connection()
    found = registry["customer"].get(ann.pk)
    pool.release(taken)

    assert found is not None
    assert registry.counts.of(StoreFailed, "") == 1
