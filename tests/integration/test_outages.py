"""One of the servers does not answer, or refuses."""

import gc
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis
from django.db import connection, connections, transaction

from refcache import ReferenceCache, ReferenceUnavailable
from refcache.core.events import StoreFailed
from refcache.reference import Reference
from tests.conftest import PostgresServers
from tests.integration.conftest import NewRegistry
from tests.integration.watching import in_new_loop, in_thread, state, statements
from tests.servers.redis_server import RedisServer
from tests.testapp.models import Company, Customer

pytestmark = pytest.mark.django_db(transaction=True)

BOUND = 10.0  # seconds; a hang would last for ever, and a loaded machine has its moments


@pytest.fixture
def customers(registry: ReferenceCache) -> Reference:
    registry.register("testapp.Customer", ["name", "company__name"], name="customer")
    return registry["customer"]


@pytest.fixture
def pks(customers: Reference) -> list[int]:
    assert customers.name == "customer"
    company = Company.objects.create(name="ACME", code="a")
    return [Customer.objects.create(name=n, company=company).pk for n in ("Ann", "Bob")]


@pytest.fixture
def postgres(postgres_servers: PostgresServers) -> Any:
    """The database of the customers; this test's broken connections are closed in the end."""
    yield postgres_servers.application
    postgres_servers.application.mend()
    connections.close_all()


def names(found: Any) -> list[str]:
    return [row.name for row in found.values()]


def test_warm_reads_need_no_database(customers: Reference, pks: list[int], postgres: Any) -> None:
    customers.get_many(pks)
    postgres.stop()

    assert names(customers.get_many(pks)) == ["Ann", "Bob"]


def test_without_a_database_a_cold_read_is_an_error_of_its_own(
    customers: Reference, pks: list[int], postgres: Any
) -> None:
    customers.get(pks[0])
    postgres.stop()

    with pytest.raises(ReferenceUnavailable) as caught:
        customers.get_many(pks)

    assert (caught.value.reference, caught.value.keys) == ("customer", [pks[1]])
    assert caught.value.__cause__ is not None
    with pytest.raises(ReferenceUnavailable):
        in_new_loop(customers.aget_many(pks))


def test_a_load_that_failed_gives_its_lease_back(
    customers: Reference,
    pks: list[int],
    postgres: Any,
    client: redis.Redis,
    new_registry: NewRegistry,
) -> None:
    postgres.stop()
    with pytest.raises(ReferenceUnavailable):
        customers.get(pks[0])
    assert state(client, new_registry.prefix, f"customer:{pks[0]}") == "nothing"

    postgres.start()
    connections.close_all()

    assert names(customers.get_many(pks)) == ["Ann", "Bob"]


def test_without_redis_reads_go_to_the_database(
    registry: ReferenceCache, customers: Reference, pks: list[int], redis_server: RedisServer
) -> None:
    customers.get_many(pks)
    redis_server.stop()

    with statements() as sent:
        found = customers.lookup([*pks, 10**9])

    assert names(found)[:2] == ["Ann", "Bob"]
    assert found[pks[0]].company__name == "ACME"
    assert found[10**9].is_placeholder
    assert found.provenance(pks[0]).tier == "database"
    assert len(sent) == 2
    assert registry.counts.of(StoreFailed) == 1  # It is not asked again for the companies.
    assert names(in_new_loop(customers.aget_many(pks))) == ["Ann", "Bob"]


def test_neither_redis_nor_database_is_unavailable(
    customers: Reference, pks: list[int], redis_server: RedisServer, postgres: Any
) -> None:
    customers.get_many(pks)
    redis_server.stop()
    postgres.stop()

    with pytest.raises(ReferenceUnavailable):
        customers.get_many(pks)


def test_redis_is_used_again_when_it_is_back(
    customers: Reference, pks: list[int], redis_server: RedisServer
) -> None:
    customers.get_many(pks)
    redis_server.kill()
    customers.get_many(pks)
    redis_server.start()
    customers.get_many(pks)

    with statements() as sent:
        assert names(customers.get_many(pks)) == ["Ann", "Bob"]
    assert sent == []


def test_a_redis_that_hangs_delays_a_read_by_its_timeout(
    new_registry: NewRegistry, redis_server: RedisServer, settings: Any
) -> None:
    settings.REFCACHE = {"TIMEOUT": 0.05, "CONNECT_TIMEOUT": 0.05}
    gc.collect()  # Registries of earlier tests, which wait longer.
    registry = new_registry()
    registry.register("testapp.Customer", ["name"], name="customer")
    ann = Customer.objects.create(name="Ann")
    registry["customer"].get(ann.pk)
    redis_server.pause()

    began = time.monotonic()
    found = [registry["customer"].get(ann.pk), in_new_loop(registry["customer"].aget(ann.pk))]
    ann.name = "Bea"
    ann.save()

    assert time.monotonic() - began < BOUND
    assert [row and row.name for row in found] == ["Ann", "Ann"]
    assert registry.counts.of(StoreFailed) >= 3
    assert Customer.objects.get().name == "Bea"


@pytest.mark.parametrize(
    "options",
    [("--min-replicas-to-write", "1"), ("--maxmemory", "1", "--maxmemory-policy", "noeviction")],
    ids=["read-only", "full"],
)
def test_a_redis_that_refuses_writes_is_as_good_as_none(
    new_redis: Callable[..., RedisServer], new_registry: NewRegistry, settings: Any, options: Any
) -> None:
    server = new_redis(*options)
    settings.CACHES = {"default": settings.CACHES["default"] | {"LOCATION": server.url}}
    registry = new_registry()
    registry.register("testapp.Customer", ["name"], name="customer")

    ann = Customer.objects.create(pk=5, name="Ann")
    first = registry["customer"].get(ann.pk)
    ann.name = "Bea"
    ann.save()
    second = registry["customer"].get(ann.pk)

    assert [row and row.name for row in (first, second)] == ["Ann", "Bea"]
    assert registry.counts.of(StoreFailed) > 0


def end(backend: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [backend])


def test_a_connection_that_was_kept_from_before_is_opened_anew(
    customers: Reference, pks: list[int]
) -> None:
    kept = connection.connection.info.backend_pid
    in_thread(lambda: end(kept))

    assert names(customers.get_many(pks)) == ["Ann", "Bob"]
    assert connection.connection.info.backend_pid != kept


def test_in_a_transaction_a_connection_that_is_gone_is_not_replaced(
    customers: Reference, pks: list[int]
) -> None:
    def write_and_read() -> None:
        with transaction.atomic():
            Customer.objects.create(name="Eve")
            kept = connection.connection.info.backend_pid
            in_thread(lambda: end(kept))
            customers.get_many(pks, on_error="omit")

    with pytest.raises(ReferenceUnavailable):
        write_and_read()

    connection.close()
    assert not Customer.objects.filter(name="Eve").exists()
