"""Keys that cannot be one, and rows that stand twice: nothing is half done."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from refcache import ReferenceCache
from refcache.reference import Reference
from tests.integration.watching import in_new_loop
from tests.testapp.models import Customer

pytestmark = pytest.mark.django_db(transaction=True)


@dataclass(frozen=True)
class Frozen:
    customer_id: int


@pytest.fixture
def customers(registry: ReferenceCache) -> Reference:
    registry.register("testapp.Customer", ["name"], name="customer")
    return registry["customer"]


@pytest.fixture
def pk(customers: Reference) -> int:
    assert customers.name == "customer"
    return Customer.objects.create(name="Ann").pk


@pytest.mark.parametrize(
    "odd",
    [10**5000, "9" * 6000, [10**5000], float("nan"), object()],
    ids=lambda odd: str(type(odd)),
)
def test_a_key_that_cannot_be_one_does_not_spoil_the_others(
    customers: Reference, pk: int, odd: object
) -> None:
    assert customers.get_many([pk, odd]).keys() == {pk}
    assert len(customers.lookup([odd]).errors) == 1


@pytest.mark.parametrize("keys", ["12", b"34"])
def test_one_text_is_not_a_list_of_keys(customers: Reference, keys: Any) -> None:
    with pytest.raises(TypeError, match="is one key: give a list"):
        customers.get_many(keys)
    with pytest.raises(TypeError, match="is one key: give a list"):
        in_new_loop(customers.alookup(keys))


# Attaching


def test_a_row_that_stands_twice_is_attached_to_once(registry: ReferenceCache, pk: int) -> None:
    row = {"customer_id": pk}

    found = registry.attach([row, row], customer="customer_id")

    assert found == [row, row]
    assert found[0] is found[1] is row


def test_a_frozen_row_that_stands_twice_stays_one_row(registry: ReferenceCache, pk: int) -> None:
    row = Frozen(pk)

    first, second = registry.attach([row, row], customer="customer_id")

    assert first is second
    assert first.customer.name == "Ann"  # type: ignore[attr-defined]  # it was attached
    assert not hasattr(row, "customer")


def test_nothing_is_changed_when_a_later_row_has_the_name(
    registry: ReferenceCache, pk: int
) -> None:
    first = SimpleNamespace(customer_id=pk)
    second = SimpleNamespace(customer_id=pk, customer="taken")

    with pytest.raises(TypeError, match="the name is taken"):
        registry.attach([first, second], customer="customer_id")

    assert vars(first) == {"customer_id": pk}
    assert second.customer == "taken"


def test_nothing_is_changed_when_a_later_item_has_the_name(
    registry: ReferenceCache, pk: int
) -> None:
    rows: list[dict[str, object]] = [{"customer_id": pk}, {"customer_id": pk, "customer": "taken"}]

    with pytest.raises(TypeError, match="the name is taken"):
        in_new_loop(registry.aattach(rows, customer="customer_id"))

    assert rows[0] == {"customer_id": pk}
