"""Bulk writes of `ReferenceQuerySet` write what Django's own would, and no more."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections, transaction
from django.db.models import F

from refcache import ReferenceCache
from refcache.core.events import Marked
from refcache.reference import Reference
from tests.integration.odd_writes import execute, on, on_each, plain, precise, refer, shown
from tests.integration.watching import in_thread
from tests.testapp.models import Account, Coupon, Currency, Customer, Meter, Slot

READ_LEVELS = ["READ COMMITTED", "REPEATABLE READ"]


@pytest.fixture
def customers(registry: ReferenceCache, alias: str) -> Reference:
    return refer(registry, Customer, alias)


@pytest.fixture
def ann(customers: Reference, alias: str) -> Customer:
    """A customer whose entry is warm."""
    ann = Customer.objects.using(alias).create(name="Ann", tier="pending")
    assert shown(customers, ann.pk) == "Ann"
    return ann


# What others have committed meanwhile


def take(rows: Any) -> int:
    return int(rows.update(tier="mine"))


def raw_delete(rows: Any) -> int:
    return int(rows._raw_delete(rows.db))


@on("mariadb")
@pytest.mark.parametrize("level", READ_LEVELS)
@pytest.mark.parametrize("write", [take, raw_delete])
def test_a_row_that_somebody_else_has_taken_is_left_alone(
    ann: Customer, customers: Reference, alias: str, write: Callable[[Any], int], level: str
) -> None:
    execute(alias, f"SET SESSION TRANSACTION ISOLATION LEVEL {level}")
    try:
        with transaction.atomic(using=alias):
            assert plain(Customer, alias).count() == 1  # makes the snapshot, where there is one
            in_thread(lambda: plain(Customer, alias).update(tier="theirs", name="Anna"))

            written = write(precise(Customer, alias).filter(tier="pending"))
    finally:
        connections[alias].close()

    assert written == 0
    assert Customer.objects.using(alias).get().tier == "theirs"
    assert shown(customers, ann.pk) == "Anna"


@on("mariadb")
@pytest.mark.parametrize("level", READ_LEVELS)
def test_a_row_that_somebody_else_has_made_fit_is_written(
    ann: Customer, customers: Reference, alias: str, level: str
) -> None:
    execute(alias, f"SET SESSION TRANSACTION ISOLATION LEVEL {level}")
    try:
        with transaction.atomic(using=alias):
            assert plain(Customer, alias).count() == 1
            in_thread(lambda: plain(Customer, alias).update(tier="ready"))

            written = precise(Customer, alias).filter(tier="ready").update(name="Anna")
    finally:
        connections[alias].close()

    assert written == 1
    assert shown(customers, ann.pk) == "Anna"


# What the queryset says


@on_each
@pytest.mark.parametrize("step", [1, -1])
def test_rows_are_updated_in_the_order_that_is_asked_for(
    registry: ReferenceCache, alias: str, step: int
) -> None:
    meters = refer(registry, Meter, alias, "unit", key=("site", "number"))
    rows = [Meter(site="north", number=number, unit=str(number)) for number in (5, 6, 7)]
    Meter.objects.using(alias).bulk_create(rows)
    assert [shown(meters, ("north", number)) for number in (4, 5, 7, 8)] == [None, "5", "7", None]
    # PostgreSQL and SQLite refuse it in any order that they choose: the constraint is checked
    # row by row there, too.
    order = "-number" if step > 0 else "number"
    if alias != "mariadb":
        rows = rows[-1:] if step > 0 else rows[:1]

    chosen = precise(Meter, alias).filter(number__in=[each.number for each in rows])
    updated = chosen.order_by(order).update(number=F("number") + step)

    assert updated == len(rows)
    for row in Meter.objects.using(alias).all():
        assert shown(meters, ("north", row.number)) == row.unit
    assert Meter.objects.using(alias).filter(number=8 if step > 0 else 4).exists()


@on_each
def test_rows_that_a_base_manager_hides_are_updated_too(
    registry: ReferenceCache, alias: str
) -> None:
    refer(registry, Coupon, alias)
    Coupon(name="old", is_expired=True).save(using=alias)

    updated = precise(Coupon, alias).filter(is_expired=True).update(name="new")

    assert updated == 1
    assert precise(Coupon, alias).get().name == "new"


@on_each
@pytest.mark.parametrize("rows", [plain, precise])
@pytest.mark.parametrize("options", [{}, {"ignore_conflicts": True}])
def test_an_inserted_row_whose_key_the_database_knew_is_found(
    registry: ReferenceCache, alias: str, rows: Callable[..., Any], options: dict[str, Any]
) -> None:
    slots = refer(registry, Slot, alias)
    # SQLite's integer keys take no default.
    assert [shown(slots, key) for key in (77, 1)] == [None, None]

    rows(Slot, alias).bulk_create([Slot(name="new")], **options)

    pk = plain(Slot, alias).get().pk
    assert pk in (77, 1)
    assert shown(slots, pk) == "new"


# Keys


@on_each
def test_a_key_that_is_assigned_is_marked_where_statements_are_not_looked_at(
    registry: ReferenceCache, alias: str
) -> None:
    accounts = refer(registry, Account, alias, watch_sql=False)
    registry.register(Account, ["name"], name="mail", key="email", using=alias, watch_sql=False)
    mails = registry["mail"]
    row = Account.objects.using(alias).create(name="Ann", email="old@x.org")
    assert shown(accounts, row.pk) == shown(mails, "old@x.org") == "Ann"
    assert shown(accounts, 5000) is shown(mails, "new@x.org") is None

    precise(Account, alias).filter(pk=row.pk).update(email="new@x.org")
    assert [shown(mails, f"{mail}@x.org") for mail in ("old", "new")] == [None, "Ann"]

    precise(Account, alias).filter(pk=row.pk).update(id=5000)
    assert [shown(accounts, pk) for pk in (row.pk, 5000)] == [None, "Ann"]


@on_each
@pytest.mark.parametrize("is_delete", [False, True])
def test_rows_with_keys_of_text_are_marked_one_by_one(
    registry: ReferenceCache, alias: str, *, is_delete: bool
) -> None:
    currencies = refer(registry, Currency, alias)
    for code in ("CHF", "EUR"):
        Currency.objects.using(alias).create(code=code, name="old")
    assert [shown(currencies, code) for code in ("CHF", "EUR")] == ["old", "old"]
    marked = []
    registry.subscribe(lambda event: marked.append(event) if isinstance(event, Marked) else None)

    swiss = precise(Currency, alias).filter(code="CHF")
    assert (raw_delete(swiss) if is_delete else swiss.update(name="new")) == 1

    assert {(event.reference, event.keys) for event in marked} == {("currency", 1)}
    assert shown(currencies, "CHF") == (None if is_delete else "new")
    assert shown(currencies, "EUR") == "old"


@on("mariadb")
@pytest.mark.parametrize("rows", [plain, precise])
def test_a_bulk_update_by_another_spelling_of_the_key_is_seen(
    registry: ReferenceCache, alias: str, rows: Callable[..., Any]
) -> None:
    currencies = refer(registry, Currency, alias)
    Currency.objects.using(alias).create(code="CHF", name="old")
    assert shown(currencies, "CHF") == "old"

    rows(Currency, alias).bulk_update([Currency(code="chf", name="new")], ["name"])

    assert shown(currencies, "CHF") == "new"
