"""Snapshots on rows of one database, of references into the other."""

from dataclasses import dataclass
from typing import Any

import pytest

from refcache import ReferenceCache
from tests.integration.watching import statements
from tests.testapp.models import Customer, Meter, OrderEvent

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "events"])


@pytest.fixture(autouse=True)
def references(registry: ReferenceCache) -> ReferenceCache:
    registry.register(
        "testapp.Customer", ["name"], name="customer", missing=lambda key: {"name": f"No {key}"}
    )
    registry.register("testapp.Meter", ["unit"], name="meter", key=("site", "number"))
    return registry


def test_a_page_of_events_gets_its_customers(references: ReferenceCache) -> None:
    ann = Customer.objects.create(name="Ann")
    for customer_id in (ann.pk, None, 10**9, ann.pk):
        OrderEvent.objects.create(customer_id=customer_id)
    references["customer"].get_many([ann.pk, 10**9])

    with statements("default") as to_customers, statements("events") as to_events:
        page = references.attach(OrderEvent.objects.order_by("pk"), customer="customer_id")

    names = [each.customer and each.customer.name for each in page]  # type: ignore[attr-defined]
    assert names == ["Ann", None, page[2].customer, "Ann"]  # type: ignore[attr-defined]
    assert page[2].customer.name == f"No {10**9}"  # type: ignore[attr-defined]
    assert (len(to_customers), len(to_events)) == (0, 1)


def test_several_are_attached_at_once_and_under_other_names(references: ReferenceCache) -> None:
    ann, bob = (Customer.objects.create(name=name) for name in ("Ann", "Bob"))
    Meter.objects.create(site="north", number=1, unit="kWh")
    rows: list[dict[str, Any]] = [{"buyer": ann.pk, "seller": str(bob.pk), "at": "north", "no": 1}]

    with statements() as sent:
        (row,) = references.attach(
            rows,
            who=("customer", "buyer"),
            whose=("customer", "seller"),
            meter=("meter", ("at", "no")),
        )

    assert (row["who"].name, row["whose"].name, row["meter"].unit) == ("Ann", "Bob", "kWh")
    assert len(sent) == 3  # customers; the meters' index, and their rows


def test_a_key_with_a_null_part_gives_none(references: ReferenceCache) -> None:
    (row,) = references.attach([{"at": "north", "no": None}], meter=("meter", ("at", "no")))

    assert row["meter"] is None


def test_a_frozen_dataclass_is_copied(references: ReferenceCache) -> None:
    @dataclass(frozen=True)
    class Row:
        customer_id: int

    ann = Customer.objects.create(name="Ann")
    row = Row(ann.pk)

    (copied,) = references.attach([row], customer="customer_id")

    assert copied is not row
    assert copied == row
    assert copied.customer.name == "Ann"  # type: ignore[attr-defined]  # attached
    assert not hasattr(row, "customer")


def test_no_rows_are_no_work(references: ReferenceCache) -> None:
    with statements() as sent:
        assert references.attach([], customer="customer_id") == []

    assert sent == []
