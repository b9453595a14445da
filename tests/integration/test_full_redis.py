"""A Redis that fills up and evicts nothing: what it holds is still dropped by writes."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from django.db import transaction

from refcache import ReferenceCache
from refcache.core.events import StoreFailed
from tests.integration.conftest import NewRegistry
from tests.integration.watching import state
from tests.servers.redis_server import RedisServer
from tests.testapp.models import Customer

pytestmark = pytest.mark.django_db(transaction=True)

Look = Callable[[Customer], str]


@pytest.fixture
def roomy(new_redis: Callable[..., RedisServer]) -> Iterator[redis.Redis]:
    """A client of a Redis of this test's own, which is not full yet."""
    server = new_redis("--maxmemory-policy", "noeviction")
    with redis.Redis.from_url(server.url) as client:
        yield client


@pytest.fixture
def registry(roomy: redis.Redis, new_registry: NewRegistry, settings: Any) -> ReferenceCache:
    port = roomy.connection_pool.connection_kwargs["port"]
    alias = settings.CACHES["default"] | {"LOCATION": f"redis://127.0.0.1:{port}/0"}
    settings.CACHES = {"default": alias}
    registry = new_registry()
    registry.register("testapp.Customer", ["name"], name="customer")
    return registry


@pytest.fixture
def ann(registry: ReferenceCache) -> Customer:
    """A customer whose entry is warm, and whose writer knows the schemas that are alive."""
    ann = Customer.objects.create(name="Ann")
    registry["customer"].get(ann.pk)
    registry["customer"].invalidate(10**9)
    return ann


@pytest.fixture
def look(roomy: redis.Redis, new_registry: NewRegistry) -> Look:
    return lambda row: state(roomy, new_registry.prefix, f"customer:{row.pk}")


def fill_up(client: redis.Redis) -> None:
    client.config_set("maxmemory", "1")
    with pytest.raises(redis.exceptions.OutOfMemoryError):
        client.set("a", "b")


def name_of(registry: ReferenceCache, row: Customer) -> str | None:
    found = registry["customer"].get(row.pk)
    return found.name if found else None


def test_a_save_drops_the_old_value(
    registry: ReferenceCache, ann: Customer, roomy: redis.Redis, look: Look
) -> None:
    assert look(ann) == "value"
    fill_up(roomy)

    ann.name = "Bea"
    ann.save()

    assert registry.counts.of(StoreFailed) == 0
    assert look(ann) == "nothing"
    assert name_of(registry, ann) == "Bea"


def test_a_write_in_a_transaction_is_marked_and_released(
    registry: ReferenceCache, ann: Customer, roomy: redis.Redis, look: Look
) -> None:
    fill_up(roomy)

    with transaction.atomic():
        ann.name = "Bea"
        ann.save()
        assert look(ann) == "marker"
        assert name_of(registry, ann) == "Bea"

    assert look(ann) == "nothing"
    assert name_of(registry, ann) == "Bea"
