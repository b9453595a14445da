"""A Redis that answers and refuses, since it is loading, or since the key is another node's."""

from collections.abc import Callable
from threading import Thread
from typing import Any

import pytest
import redis

from refcache import ReferenceCache
from refcache.core.events import BreakerOpened, StoreFailed
from tests.integration.conftest import NewRegistry
from tests.integration.watching import LIMIT
from tests.servers.process import wait_until
from tests.servers.redis_server import RedisServer
from tests.testapp.models import Customer

pytestmark = pytest.mark.django_db(transaction=True)

NewRedis = Callable[..., RedisServer]
Connect = Callable[[RedisServer], ReferenceCache]

KEYS, DELAY = 4000, 1000  # a dump that takes four seconds to load, at so many microseconds a key
SLOTS = 16384


@pytest.fixture
def connect(new_registry: NewRegistry, settings: Any) -> Connect:
    """A registry of customers in that Redis."""

    def to(server: RedisServer) -> ReferenceCache:
        settings.CACHES = {"default": settings.CACHES["default"] | {"LOCATION": server.url}}
        registry = new_registry()
        registry.register("testapp.Customer", ["name"], name="customer")
        return registry

    return to


def read_twice(registry: ReferenceCache, pk: int) -> list[str]:
    found = [registry["customer"].get(pk) for _ in range(2)]
    return [each.name for each in found if each]


def test_while_it_loads_its_dump_reads_go_to_the_database(
    new_redis: NewRedis, connect: Connect
) -> None:
    server = new_redis("--key-load-delay", "0", "--loading-process-events-interval-bytes", "1024")
    ann = Customer.objects.create(name="Ann")
    registry = connect(server)
    with redis.Redis.from_url(server.url) as client:
        client.eval("for i = 1, ARGV[1] do redis.call('SET', 'k' .. i, 'v') end", 0, str(KEYS))
        client.save()
    server.kill()
    server._options = ("--key-load-delay", str(DELAY), *server._options[2:])
    starting = Thread(target=server.start)
    starting.start()
    try:
        wait_until(lambda: is_loading(server), LIMIT)
        assert read_twice(registry, ann.pk) == ["Ann", "Ann"]
        assert registry.counts.of(StoreFailed) > 0
    finally:
        starting.join(LIMIT)

    assert read_twice(registry, ann.pk) == ["Ann", "Ann"]


def is_loading(server: RedisServer) -> bool:
    with redis.Redis.from_url(server.url, retry=None) as client:
        try:
            client.ping()
        except redis.BusyLoadingError:
            return True
        except redis.ConnectionError:
            return False
    return False


def test_where_keys_are_another_nodes_reads_go_to_the_database(
    new_redis: NewRedis, connect: Connect
) -> None:
    owner, other = (new_redis("--cluster-enabled", "yes") for _ in range(2))
    with redis.Redis.from_url(owner.url) as client, redis.Redis.from_url(other.url) as asked:
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, SLOTS - 1)
        asked.execute_command("CLUSTER", "MEET", "127.0.0.1", owner.port)
        wait_until(lambda: is_moved(asked), LIMIT)
    ann = Customer.objects.create(name="Ann")
    registry = connect(other)

    assert read_twice(registry, ann.pk) == ["Ann", "Ann"]
    assert registry.counts.of(StoreFailed) > 0
    assert registry.counts.of(BreakerOpened) == 0  # It answers, and at once.


def is_moved(client: redis.Redis) -> bool:
    try:
        client.get("a")
    except redis.exceptions.MovedError:
        return True
    except redis.ResponseError:
        return False
    return False
