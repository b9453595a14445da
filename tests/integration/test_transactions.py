"""Writes in transactions: markers stand until an acknowledged end, whatever that end is."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import redis
from django.db import IntegrityError, connection, connections, transaction

from refcache import ReferenceCache
from refcache.reference import Reference
from tests.integration.conftest import NewRegistry
from tests.integration.watching import in_thread, state, statements
from tests.testapp.models import Company, Customer, OrderEvent

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "events"])

Look = Callable[[], str]


class WrongError(Exception):
    """What a block raises to be rolled back."""


@pytest.fixture
def customers(registry: ReferenceCache) -> Reference:
    registry.register("testapp.Customer", ["name"], name="customer")
    return registry["customer"]


@pytest.fixture
def ann(customers: Reference) -> Customer:
    """A customer whose entry is warm."""
    ann = Customer.objects.create(name="Ann", email="ann@x.org")
    customers.get(ann.pk)
    return ann


@pytest.fixture
def look(client: redis.Redis, new_registry: NewRegistry, ann: Customer) -> Look:
    """Says what stands in Redis for `ann`."""
    pk = ann.pk
    return lambda: state(client, new_registry.prefix, f"customer:{pk}")


def rename(customer: Customer, name: str) -> None:
    customer.name = name
    customer.save()


def name_of(reference: Reference, pk: int) -> str | None:
    found = reference.get(pk)
    return found.name if found else None


def is_kept(reference: Reference, pk: int) -> bool:
    """Whether a second read is answered without the database."""
    reference.get(pk)
    with statements() as sent:
        reference.get(pk)
    return not sent


def test_a_commit_is_seen_by_the_next_read(customers: Reference, ann: Customer, look: Look) -> None:
    with transaction.atomic():
        rename(ann, "Bea")
        assert look() == "marker"

    assert look() == "nothing"
    assert name_of(customers, ann.pk) == "Bea"
    assert is_kept(customers, ann.pk)


def test_a_commit_leaves_nothing_to_release_later(registry: ReferenceCache, ann: Customer) -> None:
    with transaction.atomic():
        rename(ann, "Bea")
        with transaction.atomic():
            rename(ann, "Cyd")

    assert not registry.invalidation.has_dropped


def test_a_transaction_reads_its_own_writes_and_fills_nothing(
    customers: Reference, ann: Customer, look: Look
) -> None:
    with transaction.atomic():
        rename(ann, "Bea")
        assert name_of(customers, ann.pk) == "Bea"
        rename(ann, "Cyd")
        assert name_of(customers, ann.pk) == "Cyd"
        assert look() == "marker"

    assert name_of(customers, ann.pk) == "Cyd"


def test_what_is_stored_is_served_inside_a_transaction(customers: Reference, ann: Customer) -> None:
    with transaction.atomic(), statements() as sent:
        assert name_of(customers, ann.pk) == "Ann"

    assert sent == []


def test_others_see_only_what_is_committed(customers: Reference, ann: Customer, look: Look) -> None:
    with transaction.atomic():
        rename(ann, "Bea")
        assert in_thread(lambda: name_of(customers, ann.pk)) == "Ann"
        assert look() == "marker"

    assert in_thread(lambda: name_of(customers, ann.pk)) == "Bea"


def test_an_exception_rolls_back_and_releases(
    customers: Reference, ann: Customer, look: Look
) -> None:
    with suppress(WrongError), transaction.atomic():
        rename(ann, "Bea")
        raise WrongError

    assert name_of(customers, ann.pk) == "Ann"
    assert is_kept(customers, ann.pk)
    assert look() == "value"


def test_set_rollback_rolls_back_and_releases(customers: Reference, ann: Customer) -> None:
    with transaction.atomic():
        rename(ann, "Bea")
        transaction.set_rollback(True)

    assert name_of(customers, ann.pk) == "Ann"
    assert is_kept(customers, ann.pk)


def test_a_rollback_is_released_by_whoever_reads_next(
    registry: ReferenceCache, customers: Reference, ann: Customer, look: Look
) -> None:
    with transaction.atomic():
        rename(ann, "Bea")
        transaction.set_rollback(True)

    assert registry.invalidation.has_dropped
    assert look() == "marker"
    customers.get(10**9)
    assert look() == "nothing"


def test_an_inner_rollback_releases_nothing_before_the_outer_end(
    customers: Reference, ann: Customer, look: Look
) -> None:
    with transaction.atomic():
        rename(ann, "Bea")
        with suppress(WrongError), transaction.atomic():
            rename(ann, "Cyd")
            raise WrongError
        assert name_of(customers, ann.pk) == "Bea"
        assert look() == "marker"
        assert in_thread(lambda: name_of(customers, ann.pk)) == "Ann"

    assert name_of(customers, ann.pk) == "Bea"
    assert is_kept(customers, ann.pk)


def test_a_row_written_only_in_a_rolled_back_savepoint_is_released(
    customers: Reference, ann: Customer, look: Look
) -> None:
    with transaction.atomic():
        with suppress(WrongError), transaction.atomic():
            rename(ann, "Cyd")
            raise WrongError
        customers.get(10**9)

    assert name_of(customers, ann.pk) == "Ann"
    assert is_kept(customers, ann.pk)
    assert look() == "value"


def test_a_row_written_again_after_a_savepoint_was_rolled_back_stays_marked(
    customers: Reference, ann: Customer, look: Look
) -> None:
    with transaction.atomic():
        with suppress(WrongError), transaction.atomic():
            rename(ann, "Cyd")
            raise WrongError
        rename(ann, "Dee")
        customers.get(10**9)
        assert look() == "marker"
        assert in_thread(lambda: name_of(customers, ann.pk)) == "Ann"

    assert name_of(customers, ann.pk) == "Dee"


def test_an_inner_commit_is_released_with_the_outer_one(
    customers: Reference, ann: Customer, look: Look
) -> None:
    with transaction.atomic():
        with transaction.atomic():
            rename(ann, "Bea")
        customers.get(10**9)
        assert look() == "marker"
        assert in_thread(lambda: name_of(customers, ann.pk)) == "Ann"

    assert look() == "nothing"
    assert name_of(customers, ann.pk) == "Bea"


def test_an_outer_rollback_undoes_an_inner_commit(
    customers: Reference, ann: Customer, look: Look
) -> None:
    with transaction.atomic():
        with transaction.atomic():
            rename(ann, "Bea")
        transaction.set_rollback(True)

    assert name_of(customers, ann.pk) == "Ann"
    assert is_kept(customers, ann.pk)
    assert look() == "value"


def test_blocks_without_savepoints_belong_to_the_outer_one(
    customers: Reference, ann: Customer, look: Look
) -> None:
    with transaction.atomic():
        with transaction.atomic(savepoint=False):
            rename(ann, "Bea")
        assert look() == "marker"

    assert look() == "nothing"
    assert name_of(customers, ann.pk) == "Bea"


def test_a_failed_block_without_a_savepoint_rolls_back_all(
    customers: Reference, ann: Customer
) -> None:
    with transaction.atomic():
        rename(ann, "Bea")
        with suppress(WrongError), transaction.atomic(savepoint=False):
            rename(ann, "Cyd")
            raise WrongError

    assert name_of(customers, ann.pk) == "Ann"
    assert is_kept(customers, ann.pk)


def test_a_commit_that_fails_leaves_the_marker(
    registry: ReferenceCache, customers: Reference, ann: Customer, look: Look
) -> None:
    ann.company_code_id = "nope"  # the constraint is deferred to the COMMIT
    with pytest.raises(IntegrityError), transaction.atomic():
        rename(ann, "Bea")

    assert not registry.invalidation.has_dropped
    assert name_of(customers, ann.pk) == "Ann"
    assert look() == "marker"
    assert not is_kept(customers, ann.pk)


def test_a_commit_that_fails_leaves_the_marker_of_a_decorated_function_too(
    customers: Reference, ann: Customer, look: Look
) -> None:
    @transaction.atomic
    def fail() -> None:
        with transaction.atomic():
            ann.company_code_id = "nope"
            rename(ann, "Bea")

    with pytest.raises(IntegrityError):
        fail()

    customers.get(10**9)
    assert look() == "marker"


def test_a_statement_that_fails_is_a_rollback_like_any_other(
    customers: Reference, ann: Customer
) -> None:
    Customer.objects.create(name="Bob", email="bob@x.org")

    ann.email = "bob@x.org"
    with pytest.raises(IntegrityError), transaction.atomic():
        rename(ann, "Bea")

    assert name_of(customers, ann.pk) == "Ann"
    assert is_kept(customers, ann.pk)


def fail() -> None:
    raise WrongError


def test_a_callback_that_raises_does_not_keep_the_marker(
    customers: Reference, ann: Customer
) -> None:
    def save() -> None:
        with transaction.atomic():
            rename(ann, "Bea")
            transaction.on_commit(fail)

    with pytest.raises(WrongError):
        save()

    assert name_of(customers, ann.pk) == "Bea"
    assert is_kept(customers, ann.pk)


def test_a_callback_that_raises_before_the_release_leaves_the_marker_to_expire(
    customers: Reference, ann: Customer
) -> None:
    def save() -> None:
        with transaction.atomic():
            transaction.on_commit(fail)
            rename(ann, "Bea")

    with pytest.raises(WrongError):
        save()

    assert name_of(customers, ann.pk) == "Bea"
    assert not is_kept(customers, ann.pk)


def test_a_callback_reads_what_was_committed(customers: Reference, ann: Customer) -> None:
    seen: list[str | None] = []
    with transaction.atomic():
        transaction.on_commit(lambda: seen.append(name_of(customers, ann.pk)))
        rename(ann, "Bea")
        transaction.on_commit(lambda: seen.append(name_of(customers, ann.pk)))

    assert seen == ["Bea", "Bea"]
    assert name_of(customers, ann.pk) == "Bea"


def test_a_callback_that_writes_is_a_write_of_its_own(
    customers: Reference, ann: Customer, look: Look
) -> None:
    with transaction.atomic():
        rename(ann, "Bea")
        transaction.on_commit(lambda: rename(ann, "Cyd"))

    assert look() == "nothing"
    assert name_of(customers, ann.pk) == "Cyd"


def test_a_second_transaction_is_marked_anew(
    customers: Reference, ann: Customer, look: Look
) -> None:
    for name in ("Bea", "Cyd"):
        with transaction.atomic():
            rename(ann, name)
            assert look() == "marker"
        assert name_of(customers, ann.pk) == name
        assert look() == "value"


def test_a_hook_that_somebody_keeps_does_not_stand_for_a_later_transaction(
    customers: Reference, ann: Customer, look: Look
) -> None:
    kept = []
    for name in ("Bea", "Cyd"):
        customers.get(ann.pk)
        with transaction.atomic():
            rename(ann, name)
            kept += connection.run_on_commit  # as captureOnCommitCallbacks() does

        assert look() == "nothing"
        assert name_of(customers, ann.pk) == name
    assert kept


def test_a_deletion_that_is_rolled_back_leaves_the_row(customers: Reference, ann: Customer) -> None:
    pk = ann.pk
    with transaction.atomic():
        ann.delete()
        assert customers.get(pk) is None
        assert in_thread(lambda: name_of(customers, pk)) == "Ann"
        transaction.set_rollback(True)

    assert name_of(customers, pk) == "Ann"


def test_a_creation_that_is_rolled_back_leaves_no_row(customers: Reference) -> None:
    with transaction.atomic():
        pk = Customer.objects.create(name="New").pk
        assert name_of(customers, pk) == "New"
        assert in_thread(lambda: customers.get(pk)) is None
        transaction.set_rollback(True)

    assert customers.get(pk) is None


def test_an_absence_seen_before_a_creation_commits_is_not_remembered_after_it(
    customers: Reference, ann: Customer
) -> None:
    with transaction.atomic():
        created = Customer.objects.create(name="New")
        assert in_thread(lambda: customers.get(created.pk)) is None

    assert name_of(customers, created.pk) == "New"
    assert ann.pk != created.pk


def test_each_alias_ends_by_itself(
    registry: ReferenceCache, customers: Reference, ann: Customer, look: Look
) -> None:
    registry.register("testapp.OrderEvent", ["amount"], name="event")
    event = OrderEvent.objects.create(amount=1)
    registry["event"].get(event.pk)

    with transaction.atomic(using="events"):
        event.amount = 2
        event.save()
        with transaction.atomic(using="default"):
            rename(ann, "Bea")
        assert look() == "nothing"
        assert name_of(customers, ann.pk) == "Bea"
        assert is_kept(customers, ann.pk)
        transaction.set_rollback(True, using="events")

    found = registry["event"].get(event.pk)
    assert found is not None
    assert found.amount == 1
    assert name_of(customers, ann.pk) == "Bea"


def test_a_rollback_of_one_alias_does_not_release_the_other(
    registry: ReferenceCache, customers: Reference, ann: Customer, look: Look
) -> None:
    registry.register("testapp.OrderEvent", ["amount"], name="event")
    event = OrderEvent.objects.create(amount=1)

    with transaction.atomic(using="default"):
        rename(ann, "Bea")
        with suppress(WrongError), transaction.atomic(using="events"):
            event.amount = 2
            event.save()
            raise WrongError
        found = registry["event"].get(event.pk)
        assert found is not None
        assert found.amount == 1
        assert look() == "marker"

    assert name_of(customers, ann.pk) == "Bea"


def test_a_read_of_one_alias_fills_while_another_is_in_a_transaction(
    customers: Reference, ann: Customer
) -> None:
    customers.invalidate(ann.pk)

    with transaction.atomic(using="events"):
        assert is_kept(customers, ann.pk)


def test_two_writers_hold_one_marker(customers: Reference, ann: Customer, look: Look) -> None:
    with transaction.atomic():
        customers.invalidate(ann.pk)

        def other() -> None:
            with transaction.atomic():
                rename(Customer.objects.get(pk=ann.pk), "Bea")

        in_thread(other)
        assert look() == "marker"
        assert name_of(customers, ann.pk) == "Bea"

    assert look() == "nothing"
    assert is_kept(customers, ann.pk)


def test_without_autocommit_the_marker_stays(
    customers: Reference, ann: Customer, look: Look
) -> None:
    transaction.set_autocommit(False)
    try:
        rename(ann, "Bea")
        transaction.commit()
    finally:
        transaction.set_autocommit(True)

    assert look() == "marker"
    assert name_of(customers, ann.pk) == "Bea"


def test_a_lost_connection_is_a_rollback(
    registry: ReferenceCache, customers: Reference, ann: Customer
) -> None:
    with suppress(WrongError), transaction.atomic():
        rename(ann, "Bea")
        connection.close()
        raise WrongError
    connections.close_all()

    assert name_of(customers, ann.pk) == "Ann"
    assert not registry.invalidation.has_dropped


def test_cascades_in_a_rolled_back_transaction_leave_all_rows(
    customers: Reference, ann: Customer
) -> None:
    company = Company.objects.create(name="ACME", code="a")
    ann.company_code = company
    ann.save()
    customers.get(ann.pk)

    with transaction.atomic():
        company.delete()
        assert customers.get(ann.pk) is None
        transaction.set_rollback(True)

    assert name_of(customers, ann.pk) == "Ann"


def test_many_rows_of_one_transaction_are_released_together(customers: Reference) -> None:
    rows = [Customer.objects.create(name=f"c{n}") for n in range(50)]
    pks = [row.pk for row in rows]
    customers.get_many(pks)

    with transaction.atomic():
        for row in rows:
            rename(row, f"{row.name}!")

    found: dict[Any, Any] = customers.get_many(pks)
    assert [row.name for row in found.values()] == [f"c{n}!" for n in range(50)]
