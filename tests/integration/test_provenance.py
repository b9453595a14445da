"""Where each answer came from: tier, age, stale or fresh, absent, failed, and why."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction

from refcache import ReferenceCache, Staleness
from refcache.lookup import Provenance
from refcache.reading.answers import Overrides
from tests.integration.conftest import NewRegistry
from tests.integration.tolerant import NAME, Timed, unreadable
from tests.integration.watching import in_thread
from tests.testapp.models import Company, Customer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def timed(new_registry: NewRegistry) -> Timed:
    assert new_registry.prefix  # it sees to the signals
    timed = Timed()
    register: Any = timed.registry.register
    staleness = Staleness(while_revalidate=60, if_error=60)
    register("testapp.Customer", ["name"], name="customer", staleness=staleness)
    register("testapp.Company", ["name"], name="company", staleness=staleness)
    register("testapp.Customer", ["company__name"], name="both", staleness=staleness)
    return timed


@pytest.fixture
def ann() -> Customer:
    return Customer.objects.create(
        name="Ann", company=Company.objects.create(name="ACME", code="a")
    )


def of(timed: Timed, key: Any, name: str = "customer", **overrides: Any) -> Provenance:
    return timed.lookup(name, [key], **overrides).provenance(key)


def test_a_cold_row_is_of_the_database(timed: Timed, ann: Customer) -> None:
    assert of(timed, ann.pk) == Provenance("database", 0.0, stale=False, absent=False, why="miss")


def test_a_warm_row_is_of_redis_and_has_an_age(timed: Timed, ann: Customer) -> None:
    of(timed, ann.pk)
    timed.pass_time(12.5)

    assert of(timed, ann.pk) == Provenance("redis", 12.5, stale=False, absent=False, why="fresh")


def test_a_known_absence_has_an_age(timed: Timed) -> None:
    of(timed, 404)
    timed.pass_time(3)

    assert of(timed, 404) == Provenance("redis", 3.0, stale=False, absent=True, why="fresh")


def test_an_old_value_is_stale(timed: Timed, ann: Customer) -> None:
    of(timed, ann.pk)
    timed.pass_time(301)

    expected = Provenance(
        "redis", 301.0, stale=True, absent=False, why="past its TTL, being refreshed"
    )
    assert of(timed, ann.pk) == expected


def test_a_copy_is_local_and_stale(timed: Timed, ann: Customer) -> None:
    of(timed, ann.pk)
    of(timed, ann.pk)
    timed.store.is_left_alone = True
    timed.pass_time(7)

    expected = Provenance("local", 7.0, stale=True, absent=False, why="store unavailable")
    assert of(timed, ann.pk) == expected


def test_without_store_and_copy_it_is_of_the_database(timed: Timed, ann: Customer) -> None:
    timed.store.is_left_alone = True

    expected = Provenance("database", 0.0, stale=False, absent=False, why="store unavailable")
    assert of(timed, ann.pk) == expected


def test_what_is_being_written_is_of_the_database(timed: Timed, ann: Customer) -> None:
    of(timed, ann.pk)
    with transaction.atomic():
        ann.save()
        seen = in_thread(lambda: of(timed, ann.pk))

    assert (seen.tier, seen.why) == ("database", "being written")


def test_in_a_transaction_that_has_written_it_is_of_the_database(
    timed: Timed, ann: Customer
) -> None:
    with transaction.atomic():
        Company.objects.create(name="Best", code="b")

        seen = of(timed, ann.pk)

    assert (seen.tier, seen.why) == ("database", "transaction")


def test_who_waits_in_vain_is_busy(timed: Timed, ann: Customer) -> None:
    steps = timed.registry["customer"]._lookup([ann.pk], Overrides())
    operation = next(steps)
    while type(operation).__name__ != "Load":
        operation = steps.send(timed._perform(operation))

    seen = of(timed, ann.pk)

    assert (seen.tier, seen.why) == ("database", "another's load took too long")
    steps.close()


def test_a_composed_row_is_of_the_farthest_tier_and_as_old_as_its_oldest_part(
    timed: Timed, ann: Customer
) -> None:
    of(timed, ann.pk, "both")
    timed.pass_time(100)
    ann.save()

    expected = Provenance("database", 100.0, stale=False, absent=False, why="miss")
    assert of(timed, ann.pk, "both") == expected


def test_a_composed_row_is_as_stale_as_a_part(timed: Timed, ann: Customer) -> None:
    of(timed, ann.pk, "both")
    timed.pass_time(100)
    ann.save()
    of(timed, ann.pk, "both")
    timed.pass_time(201)

    seen = of(timed, ann.pk, "both")

    assert (seen.tier, seen.age, seen.stale) == ("redis", 301.0, True)
    assert seen.why == "past its TTL, being refreshed"


@pytest.fixture
def broken() -> Iterator[Customer]:
    made = Customer.objects.create(name=NAME)
    with unreadable():
        yield made


def test_what_nobody_could_read_has_failed(timed: Timed, broken: Customer) -> None:
    found = timed.lookup("customer", [broken.pk], on_error="placeholder")

    expected = Provenance(
        "database", 0.0, stale=False, absent=False, why="load failed", failed=True
    )
    assert found.provenance(broken.pk) == expected


def test_what_was_not_asked_for_has_no_provenance(timed: Timed, ann: Customer) -> None:
    found = timed.lookup("customer", [ann.pk])

    with pytest.raises(KeyError):
        found.provenance(ann.pk + 1)
    assert list(found.provenances()) == [ann.pk]


def test_redis_itself_says_the_same(registry: ReferenceCache, ann: Customer) -> None:
    registry.register("testapp.Customer", ["name"], name="customer")

    first, second = (registry["customer"].lookup([ann.pk]).provenance(ann.pk) for _ in range(2))

    assert (first.tier, first.why) == ("database", "miss")
    assert (second.tier, second.why) == ("redis", "fresh")
