"""Slow databases: a row that is locked out of reach is waited for as long as declared."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

import pytest
import redis
from django.db import DatabaseError, connection, connections, transaction

from refcache import ReferenceCache, ReferenceUnavailable, Staleness
from refcache.core.exceptions import LoadTimedOut
from tests.integration.conftest import NewRegistry
from tests.integration.tolerant import Timed
from tests.integration.watching import in_new_loop, in_thread, state
from tests.testapp.models import Customer

pytestmark = pytest.mark.django_db(transaction=True)

SHORT, LONG = 0.1, 5.0  # seconds


@contextmanager
def locked() -> Iterator[None]:
    """Nobody can read the customers."""
    begun, over = Event(), Event()

    def lock() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("LOCK TABLE testapp_customer IN ACCESS EXCLUSIVE MODE")
            begun.set()
            assert over.wait(LONG * 4)

    def work() -> None:
        try:
            lock()
        finally:
            connections.close_all()

    thread = Thread(target=work)
    thread.start()
    try:
        assert begun.wait(LONG)
        yield
    finally:
        over.set()
        thread.join()


@pytest.fixture
def customers(registry: ReferenceCache) -> ReferenceCache:
    registry.register("testapp.Customer", ["name"], name="customer", load_timeout=SHORT)
    return registry


@pytest.fixture
def ann() -> Customer:
    return Customer.objects.create(name="Ann")


def test_a_load_that_takes_too_long_has_failed(customers: ReferenceCache, ann: Customer) -> None:
    with locked(), pytest.raises(ReferenceUnavailable) as caught:
        customers["customer"].get(ann.pk)

    assert caught.value.keys == [ann.pk]
    assert isinstance(caught.value.__cause__, LoadTimedOut)


def test_it_goes_on_and_fills(
    customers: ReferenceCache, ann: Customer, client: redis.Redis, new_registry: NewRegistry
) -> None:
    with locked():
        assert customers["customer"].get(ann.pk, on_error="omit") is None

    assert customers.runtime.backend._loads("default").close(LONG)
    assert state(client, new_registry.prefix, f"customer:{ann.pk}") == "value"


def test_the_same_holds_for_coroutines(customers: ReferenceCache, ann: Customer) -> None:
    with locked():
        found = in_new_loop(customers["customer"].alookup([ann.pk], on_error="placeholder"))

    assert found.provenance(ann.pk).failed


def test_an_old_value_is_served_where_the_load_is_slow(
    new_registry: NewRegistry, ann: Customer
) -> None:
    assert new_registry.prefix  # it sees to the signals
    timed = Timed()
    tolerance = Staleness(if_error=3600)
    timed.registry.register(
        "testapp.Customer", ["name"], name="customer", soft_timeout=SHORT, staleness=tolerance
    )
    timed.lookup("customer", [ann.pk])
    timed.pass_time(301)

    with locked():
        found = timed.lookup("customer", [ann.pk])

    assert found[ann.pk].name == "Ann"
    assert found.provenance(ann.pk).why == "past its TTL, the load was slow"
    assert found.provenance(ann.pk).tier == "redis"
    assert timed.registry.runtime.backend._loads("default").close(LONG)
    assert timed.lookup("customer", [ann.pk]).provenance(ann.pk).why == "fresh"


def test_within_a_transaction_that_has_written_its_own_rows_are_read(
    customers: ReferenceCache, ann: Customer
) -> None:
    with transaction.atomic():
        Customer.objects.filter(pk=ann.pk).update(name="Ida")

        found = customers["customer"].get(ann.pk)

    assert found is not None
    assert found.name == "Ida"


def test_a_statement_that_the_server_ends_has_failed(
    registry: ReferenceCache, ann: Customer
) -> None:
    registry.register("testapp.Customer", ["name"], name="customer")

    def read() -> Any:
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 50")
        with pytest.raises(ReferenceUnavailable) as caught:
            registry["customer"].get(ann.pk)
        return caught.value

    with locked():
        error = in_thread(read)

    assert isinstance(error.__cause__, DatabaseError)
    assert error.keys == [ann.pk]
