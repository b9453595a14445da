"""Redis is there, but for one command, or for its answer: nothing stays wrong."""

from collections.abc import Callable

import pytest
import redis
from django.db import transaction

from refcache import ReferenceCache
from refcache.core.events import Released, StoreFailed
from refcache.core.keys import key_text
from refcache.core.operations import Claim, Mark, Release
from refcache.core.writes import Touched
from refcache.reference import Reference
from refcache.writing.invalidation import RELEASES_AT_ONCE
from tests.integration.conftest import NewRegistry
from tests.integration.interposing import fail, repeat
from tests.integration.watching import LIMIT, in_thread, state, update_unseen
from tests.testapp.models import Customer

pytestmark = pytest.mark.django_db(transaction=True)

Look = Callable[[int], str]


@pytest.fixture
def customers(registry: ReferenceCache) -> Reference:
    registry.register("testapp.Customer", ["name"], name="customer")
    return registry["customer"]


@pytest.fixture
def ann(customers: Reference) -> Customer:
    """A customer whose entry is warm."""
    ann = Customer.objects.create(name="Ann")
    customers.get(ann.pk)
    return ann


@pytest.fixture
def look(client: redis.Redis, new_registry: NewRegistry) -> Look:
    return lambda pk: state(client, new_registry.prefix, f"customer:{pk}")


def rename(customer: Customer, name: str) -> None:
    customer.name = name
    customer.save()


def name_of(reference: Reference, pk: int) -> str | None:
    found = reference.get(pk)
    return found.name if found else None


def test_a_mark_that_failed_is_made_up_for_after_the_save(
    registry: ReferenceCache, customers: Reference, ann: Customer, look: Look
) -> None:
    fail(registry, Mark, failures=1)

    with transaction.atomic():
        rename(ann, "Bea")

        assert look(ann.pk) == "marker"
        assert name_of(customers, ann.pk) == "Bea"
        assert in_thread(lambda: name_of(customers, ann.pk)) == "Ann"
    assert registry.counts.of(StoreFailed, "customer") == 1
    assert name_of(customers, ann.pk) == "Bea"


def test_a_mark_that_failed_is_made_up_for_by_the_next_save(
    registry: ReferenceCache, customers: Reference, ann: Customer, look: Look
) -> None:
    failing = fail(registry, Mark)

    with transaction.atomic():
        rename(ann, "Bea")
        assert look(ann.pk) == "value"
        failing.failures = 0
        rename(ann, "Cyd")

        assert look(ann.pk) == "marker"
        assert name_of(customers, ann.pk) == "Cyd"
    assert look(ann.pk) == "nothing"


def test_what_could_never_be_marked_is_released_all_the_same(
    registry: ReferenceCache, customers: Reference, ann: Customer, look: Look
) -> None:
    fail(registry, Mark)

    with transaction.atomic():
        rename(ann, "Bea")

    assert look(ann.pk) == "nothing"
    assert name_of(customers, ann.pk) == "Bea"


# Releases that rollbacks have left


def leave_dropped(registry: ReferenceCache, ann: Customer, number: int) -> None:
    """As so many rollbacks at once do, each on a connection of its own."""
    family = registry["customer"].plan.node.rows.family
    dropped = [(b"%d" % n, [Touched(family, (key_text(ann.pk),))]) for n in range(number)]
    registry.invalidation._transactions.dropped.extend(dropped)


def test_one_read_makes_up_for_some_of_the_releases_only(
    registry: ReferenceCache, customers: Reference, ann: Customer
) -> None:
    leave_dropped(registry, ann, 2 * RELEASES_AT_ONCE + 5)
    assert RELEASES_AT_ONCE == 20
    released = []

    for _ in range(4):
        before = registry.counts.of(Released, "customer")
        assert name_of(customers, ann.pk) == "Ann"
        released.append(registry.counts.of(Released, "customer") - before)

    assert released == [20, 20, 5, 0]


def test_while_the_store_is_in_trouble_rollbacks_are_left_to_the_recovery(
    registry: ReferenceCache, customers: Reference, ann: Customer
) -> None:
    registry.recovery.retry_after = LIMIT
    failing = fail(registry, Release)
    leave_dropped(registry, ann, 3)

    for _ in range(2):
        name_of(customers, ann.pk)

    assert registry.counts.of(StoreFailed, "customer") == 1  # The first one has paid for all.
    assert not registry.invalidation.has_dropped
    assert len(registry.recovery) == 1
    failing.failures = 0
    assert registry.recovery.retry()


# Replies that are lost


def test_a_claim_that_is_repeated_keeps_its_leases(
    registry: ReferenceCache, customers: Reference, look: Look
) -> None:
    """redis-py sends a command anew when the connection broke before its reply."""
    repeat(registry, Claim)
    pks = [Customer.objects.create(name=name).pk for name in "ab"]

    assert [row.name for row in customers.get_many(pks).values()] == ["a", "b"]

    assert [look(pk) for pk in pks] == ["value", "value"]


def test_a_repeated_claim_refreshes_what_is_fresh(
    registry: ReferenceCache, customers: Reference, ann: Customer
) -> None:
    repeat(registry, Claim)
    update_unseen(Customer.objects.all(), name="Bea")

    counts = customers.warm([ann.pk])

    assert (counts.loaded, counts.stored) == (1, 1)
    assert name_of(customers, ann.pk) == "Bea"
