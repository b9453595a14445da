"""Some chunks of a load fail: what could be read is answered and stored, the rest as declared."""

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from django.db import DataError, connection, transaction

from refcache import ReferenceCache, ReferenceUnavailable
from refcache.core.events import NotLoaded
from tests.integration.conftest import NewRegistry
from tests.integration.tolerant import NAME, unreadable
from tests.integration.watching import state, statements
from tests.testapp.models import Customer, OrderEvent  # noqa: F401

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def customers(registry: ReferenceCache, settings: Any) -> ReferenceCache:
    settings.REFCACHE = settings.REFCACHE | {"CHUNK_SIZE": 2}
    registry.register("testapp.Customer", ["name"], name="customer")
    registry.register("testapp.Customer", ["name"], name="by_email", key="email")
    return registry


@pytest.fixture
def pks(customers: ReferenceCache) -> Iterator[list[int]]:
    """Six rows in three chunks; the third cannot be read, and spoils the fourth."""
    assert customers
    made = [
        Customer.objects.create(name=name, email=f"{place}@example.org").pk
        for place, name in enumerate(["a", "b", NAME, "d", "e", "f"])
    ]
    with unreadable():
        yield made


def test_the_other_chunks_are_answered(customers: ReferenceCache, pks: list[int]) -> None:
    found = customers["customer"].get_many(pks, on_error="omit")

    assert list(found) == [pks[0], pks[1], pks[4], pks[5]]
    assert [row.name for row in found.values()] == ["a", "b", "e", "f"]


def test_the_other_chunks_are_stored(
    customers: ReferenceCache, pks: list[int], client: redis.Redis, new_registry: NewRegistry
) -> None:
    customers["customer"].get_many(pks, on_error="omit")

    states = [state(client, new_registry.prefix, f"customer:{pk}") for pk in pks]

    assert states == ["value", "value", "nothing", "nothing", "value", "value"]


def test_the_error_names_just_what_failed_and_why(
    customers: ReferenceCache, pks: list[int]
) -> None:
    with pytest.raises(ReferenceUnavailable) as caught:
        customers["customer"].get_many(pks)

    assert caught.value.reference == "customer"
    assert caught.value.keys == pks[2:4]
    assert isinstance(caught.value.__cause__, DataError)
    assert "division by zero" in str(caught.value.__cause__)


def test_a_placeholder_stands_for_what_failed(customers: ReferenceCache, pks: list[int]) -> None:
    found = customers["customer"].lookup(pks, on_error="placeholder")

    assert [bool(row) for row in found.values()] == [True, True, False, False, True, True]
    assert found.provenance(pks[2]).failed
    assert not found.provenance(pks[2]).absent
    assert found.provenance(pks[2]).why == "load failed"
    assert not found.provenance(pks[0]).failed


def test_the_failure_is_told(customers: ReferenceCache, pks: list[int]) -> None:
    customers["customer"].get_many(pks, on_error="omit")

    assert customers.counts.of(NotLoaded, "customer") == 1


def test_what_failed_is_asked_again_at_once(customers: ReferenceCache, pks: list[int]) -> None:
    customers["customer"].get_many(pks, on_error="omit")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE testapp_customer_whole SET name = 'c' WHERE id = %s", [pks[2]])

    with statements("default") as sql:
        found = customers["customer"].get_many(pks)

    assert [row.name for row in found.values()] == ["a", "b", "c", "d", "e", "f"]
    assert len(sql) == 1


def test_by_another_key_what_failed_is_not_absent(
    customers: ReferenceCache, pks: list[int]
) -> None:
    assert pks
    emails = ["0@example.org", "nobody@example.org", "2@example.org"]

    found = customers["by_email"].lookup(emails, on_error="omit", on_missing="omit")

    assert set(found) <= {"0@example.org"}
    assert found.provenance("2@example.org").failed
    assert found.provenance("nobody@example.org").absent


def test_within_a_transaction_a_load_that_fails_always_raises(
    customers: ReferenceCache, pks: list[int]
) -> None:
    with pytest.raises(ReferenceUnavailable) as caught, transaction.atomic():
        customers["customer"].get_many(pks, on_error="omit")

    assert isinstance(caught.value.__cause__, DataError)


def test_after_that_nobody_waits_for_its_leases(customers: ReferenceCache, pks: list[int]) -> None:
    with pytest.raises(ReferenceUnavailable), transaction.atomic():
        customers["customer"].get_many(pks, on_error="omit")

    with statements("default") as sql:
        customers["customer"].get_many(pks[:2])

    assert len(sql) == 1
