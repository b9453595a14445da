"""`keys_where` asked for odd things: what `filter()` takes is right, and nobody else suffers."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from django.utils.translation import gettext_lazy

from refcache import InvalidCondition, RefcacheError, ReferenceCache
from refcache.reference import Reference
from tests.integration.watching import LIMIT, on_own_connections, statements
from tests.testapp.every_field import AllFields
from tests.testapp.models import Company, Customer, Document, Meter

ANYWHERE = [
    pytest.param(alias, marks=pytest.mark.django_db(transaction=True, databases=[alias]))
    for alias in ("default", "sqlite", "mariadb")
]
here = pytest.mark.django_db(transaction=True)


def listed(registry: ReferenceCache, model: str, fields: list[str], **options: Any) -> Reference:
    registry.register(model, fields, name="odd", **options)
    return registry["odd"]


@here
def test_rows_without_a_key_are_in_no_list(registry: ReferenceCache) -> None:
    customers = listed(registry, "testapp.Customer", ["name"], key="email", where=["tier"])
    for email in (None, "a@x.org"):
        Customer.objects.create(name="a", tier="gold", email=email)
    assert customers.keys_where(tier="gold") == ["a@x.org"]

    with statements() as sent:
        assert customers.keys_where(tier="gold") == ["a@x.org"]
    assert sent == []


@here
@pytest.mark.parametrize("bad", [{"number": "abc"}, {"unit__regex": "("}], ids=str)
def test_what_one_asks_in_vain_spoils_no_other_list(
    registry: ReferenceCache, bad: dict[str, Any]
) -> None:
    """Loads are shared while a write is under way."""
    meters = listed(registry, "testapp.Meter", ["unit"], where=["number", "unit"])
    key = Meter.objects.create(site="a", number=1).pk
    failed: list[Exception] = []
    start = threading.Barrier(6)

    def read(**asked: Any) -> None:
        start.wait(LIMIT)
        for _ in range(30):
            try:
                assert meters.keys_where(**asked) == [key]
            except RefcacheError as exc:
                if asked == {"number": 1}:
                    failed.append(exc)

    def calls() -> list[Callable[[], None]]:
        return [lambda: read(number=1)] * 3 + [lambda: read(**bad)] * 3

    with ThreadPoolExecutor(6) as threads, transaction.atomic():
        Meter.objects.create(site="b", number=1)
        for each in [threads.submit(on_own_connections(call)) for call in calls()]:
            each.result(LIMIT)

    assert failed == []


@here
def test_a_value_that_cannot_be_compared_says_so(registry: ReferenceCache) -> None:
    meters = listed(registry, "testapp.Meter", ["unit"], where=["number"])

    with pytest.raises(InvalidCondition, match="expected a number but got 'abc'"):
        meters.keys_where(number="abc")
    with pytest.raises(ValueError, match="max_stale=-1"):
        meters.keys_where(number=1, max_stale=-1)


@here
@pytest.mark.parametrize("number", ["3", "3.0", "3.50"])
def test_decimals_as_number_filters_give_them(registry: ReferenceCache, number: str) -> None:
    meters = listed(registry, "testapp.Meter", ["unit"], where=["number"])
    key = Meter.objects.create(site="a", number=3).pk

    assert meters.keys_where(number=Decimal(number)) == [key]


@here
def test_values_that_are_equal_for_python_alone(registry: ReferenceCache) -> None:
    customers = listed(registry, "testapp.Customer", ["name"], where=["tier", "company"])
    acme = Company.objects.create(name="Acme", code="a")
    keys = [Customer.objects.create(name="a", tier=t, company=acme).pk for t in ("True", "1")]

    assert customers.keys_where(tier__in=[True, 1]) == keys
    assert customers.keys_where(tier=gettext_lazy("1")) == keys[1:]
    assert customers.keys_where(company=acme) == keys
    assert customers.keys_where(company__in=Company.objects.all()) == keys


@here
def test_lists_and_documents(registry: ReferenceCache) -> None:
    documents = listed(registry, "testapp.Document", ["tags"], where=["content", "tags"])
    key = Document.objects.create(content="a", tags=["u"]).pk

    assert documents.keys_where(tags__in=[["u"], ["v"]]) == [key]
    assert documents.keys_where(content="a") == [key]
    with pytest.raises(InvalidCondition):
        documents.keys_where(content__a="b")


@pytest.mark.parametrize("alias", ANYWHERE)
def test_durations_and_moments(registry: ReferenceCache, alias: str) -> None:
    where = ["duration", "date", "time"]
    rows = listed(registry, "testapp.AllFields", ["char"], where=where, using=alias)
    moment, lasting = datetime(2026, 1, 1, 12, tzinfo=UTC), timedelta(days=-3, seconds=4)
    row = AllFields.objects.using(alias).create(
        date=moment.date(), time=moment.time(), duration=lasting
    )

    assert rows.keys_where(duration=lasting) == [row.pk]
    assert rows.keys_where(duration__in=[lasting, timedelta(1)]) == [row.pk]
    assert rows.keys_where(date=moment) == [row.pk]
    assert rows.keys_where(time=moment.replace(tzinfo=None)) == [row.pk]


@here
def test_long_lists_do_not_fill_the_process(registry: ReferenceCache) -> None:
    customers = listed(registry, "testapp.Customer", ["name"], where=["name"])
    Customer.objects.bulk_create(Customer(name="n") for _ in range(20_000))

    for number in range(60):
        for _ in range(2):
            customers.keys_where(name__lt=f"o{number}")

    lists: Any = customers.plan.lists
    kept = lists.source.memory.rows.values()
    assert 0 < sum(len(each.raw) for each in kept) < 3 << 20
