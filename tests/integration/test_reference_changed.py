"""`reference_changed`: who keeps copies in step is told of each write, once it is committed."""

import logging
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from django.db import connection, transaction

from refcache import ReferenceCache
from refcache.querysets import ReferenceManager
from refcache.signals import reference_changed
from tests.integration.watching import update_unseen
from tests.testapp.models import Company, Customer

pytestmark = pytest.mark.django_db(transaction=True)


class Told(NamedTuple):
    sender: type
    reference: str
    keys: tuple[int, ...] | None
    cause: str


@pytest.fixture
def customers(registry: ReferenceCache) -> ReferenceCache:
    registry.register("testapp.Customer", ["name", "company__name"], name="mine")
    return registry


@pytest.fixture
def ann(customers: ReferenceCache) -> Customer:
    assert "mine" in customers
    return Customer.objects.create(name="Ann")


@pytest.fixture
def told(ann: Customer) -> Iterator[list[Told]]:
    """What is told of this test's own reference, after `ann` was made."""
    assert ann.pk
    found: list[Told] = []

    def receive(signal: object, sender: type, reference: str, keys: Any, cause: str) -> None:
        assert signal is reference_changed
        if reference == "mine":  # The project's own references are told, too.
            found.append(Told(sender, reference, keys, cause))

    reference_changed.connect(receive)
    yield found
    reference_changed.disconnect(receive)


def execute(sql: str, *params: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)


def with_manager() -> Any:
    manager: Any = ReferenceManager()
    manager.model = Customer
    return manager


def changed(*keys: int, cause: str) -> list[Told]:
    return [Told(Customer, "mine", keys or None, cause)]


CHANGES: dict[str, tuple[Callable[[int], object], bool]] = {
    "save": (lambda pk: Customer(pk=pk, name="Bea").save(), True),
    "delete": (lambda pk: Customer.objects.get(pk=pk).delete(), True),
    "update": (lambda pk: Customer.objects.filter(pk=pk).update(name="Bea"), True),
    "sql": (lambda _: execute("UPDATE testapp_customer c SET name = 'Bea'"), False),
    "bulk_update": (
        lambda pk: with_manager().bulk_update([Customer(pk=pk, name="Bea")], ["name"]),
        True,
    ),
    "insert": (lambda _: Customer.objects.bulk_create([Customer(name="Bob")]), False),
}


@pytest.mark.parametrize("cause", CHANGES)
@pytest.mark.parametrize("in_transaction", [False, True], ids=["autocommit", "transaction"])
def test_each_write_is_told_with_its_keys_and_cause(
    ann: Customer, told: list[Told], cause: str, *, in_transaction: bool
) -> None:
    write, has_keys = CHANGES[cause]
    pk = ann.pk

    if in_transaction:
        with transaction.atomic():
            write(pk)
            assert told == []
    else:
        write(pk)

    assert told == changed(*[pk] if has_keys else [], cause=cause)


def test_rows_of_a_bulk_create_are_told_by_their_new_keys(told: list[Told]) -> None:
    made = with_manager().bulk_create([Customer(name=name) for name in "ab"])

    assert told == changed(*[each.pk for each in made], cause="bulk_create")


def test_a_created_row_is_told_by_the_key_that_the_database_made(told: list[Told]) -> None:
    made = Customer.objects.create(name="Bob")

    assert told == changed(made.pk, cause="save")


def test_an_invalidation_is_told(
    customers: ReferenceCache, ann: Customer, told: list[Told]
) -> None:
    update_unseen(Customer.objects.all(), name="Bea")

    customers["mine"].invalidate(ann.pk)

    assert told == changed(ann.pk, cause="invalidate")


def test_a_rollback_is_not_told(customers: ReferenceCache, ann: Customer, told: list[Told]) -> None:
    with transaction.atomic():
        ann.save()
        Customer.objects.update(name="Bea")
        transaction.set_rollback(True)
    customers["mine"].get(10**9)

    assert told == []


def test_a_receiver_reads_what_was_committed(customers: ReferenceCache, ann: Customer) -> None:
    seen: list[str] = []

    def receive(reference: str, **_: Any) -> None:
        found = customers["mine"].get(ann.pk)
        if reference == "mine" and found is not None:
            seen.append(found.name)

    customers["mine"].get(ann.pk)
    reference_changed.connect(receive)
    try:
        with transaction.atomic():
            Customer.objects.filter(pk=ann.pk).update(name="Bea")
    finally:
        reference_changed.disconnect(receive)

    assert seen == ["Bea"]


def test_rows_of_one_transaction_are_told_together_and_once(
    ann: Customer, told: list[Told]
) -> None:
    with transaction.atomic():
        bob = Customer.objects.create(name="Bob")
        ann.save()
        ann.save()

    assert told == changed(bob.pk, ann.pk, cause="save")


def test_a_spanned_row_is_told_by_its_own_model(told: list[Told]) -> None:
    company = Company.objects.create(name="ACME", code="a")
    told.clear()

    company.name = "Renamed"
    company.save()

    assert told == [Told(Company, "mine", (company.pk,), "save")]


def test_who_raises_is_logged_and_stops_nothing(
    ann: Customer, told: list[Told], caplog: pytest.LogCaptureFixture
) -> None:
    def fail(**_: Any) -> None:
        raise RuntimeError("a receiver's own fault")

    reference_changed.connect(fail)
    try:
        with caplog.at_level(logging.ERROR):
            ann.save()
    finally:
        reference_changed.disconnect(fail)

    assert told == changed(ann.pk, cause="save")
    assert "a receiver's own fault" in caplog.text
