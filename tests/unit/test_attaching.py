"""Snapshots on rows of any kind."""

from collections import UserDict, namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest

from refcache.attaching import Attachment, attachments, check_names, key_of, with_values
from tests.testapp.models import Customer, OrderEvent


@dataclass
class Plain:
    customer_id: int = 7


@dataclass(frozen=True)
class Frozen:
    customer_id: int = 7


@dataclass(slots=True)
class Slotted:
    customer_id: int = 7


@dataclass(frozen=True, slots=True)
class FrozenSlotted:
    customer_id: int = 7


Tuple = namedtuple("Tuple", ["customer_id"])  # noqa: PYI024 - as callers may have them


def test_a_name_is_also_the_references() -> None:
    assert attachments({"customer": "customer_id"}) == [
        Attachment("customer", "customer", "customer_id")
    ]


def test_a_pair_names_another_reference() -> None:
    assert attachments({"buyer": ("customer", "buyer_id")}) == [
        Attachment("buyer", "customer", "buyer_id")
    ]


@pytest.mark.parametrize("key", [("site", "number"), ["site", "number"]])
def test_a_composite_key_is_several_names(key: Any) -> None:
    assert attachments({"meter": ("meter", key)}) == [
        Attachment("meter", "meter", ("site", "number"))
    ]


@pytest.mark.parametrize("value", [None, 7, (), ("a",), ("a", "b", "c"), (1, "b"), ["a", "b"]])
def test_anything_else_is_refused_with_an_example(value: object) -> None:
    with pytest.raises(TypeError, match=r"attach\(customer=.*customer=\"customer_id\""):
        attachments({"customer": value})


@pytest.mark.parametrize(
    "row",
    [
        {"customer_id": 7},
        UserDict({"customer_id": 7}),
        MappingProxyType({"customer_id": 7}),
        Plain(),
        Frozen(),
        Slotted(),
        Tuple(7),
        OrderEvent(customer_id=7),
    ],
    ids=lambda row: type(row).__name__,
)
def test_a_key_is_an_item_or_an_attribute(row: Any) -> None:
    assert key_of(row, "customer_id") == 7
    assert key_of(row, ("customer_id", "customer_id")) == (7, 7)


def test_a_key_that_is_not_there_is_an_error() -> None:
    with pytest.raises(KeyError, match="customer_id"):
        key_of({}, "customer_id")
    with pytest.raises(AttributeError, match="customer_id"):
        key_of(object(), "customer_id")


@pytest.mark.parametrize(
    "row",
    [Plain(), SimpleNamespace(customer_id=7), OrderEvent(customer_id=7)],
    ids=lambda row: type(row).__name__,
)
def test_an_attribute_is_set(row: Any) -> None:
    assert with_values(row, {"customer": "Ann", "device": None}) is row
    assert (row.customer, row.device) == ("Ann", None)


@pytest.mark.parametrize("make", [dict, UserDict])
def test_an_item_is_set(make: Callable[..., Any]) -> None:
    row = make(customer_id=7)

    assert with_values(row, {"customer": "Ann"}) is row
    assert row["customer"] == "Ann"


def test_a_frozen_dataclass_is_copied() -> None:
    row = Frozen()

    copied = with_values(row, {"customer": "Ann"})

    assert copied is not row
    assert copied == row
    assert copied.customer == "Ann"
    assert not hasattr(row, "customer")


@pytest.mark.parametrize(
    "row",
    [
        {"customer": 1},
        MappingProxyType({"customer": 1}),
        SimpleNamespace(customer=None),
        # A relation; the look at it must not ask the database.
        Customer(company_id=7),
    ],
    ids=lambda row: type(row).__name__,
)
def test_a_name_that_is_taken_is_refused(row: Any) -> None:
    name = "company" if isinstance(row, Customer) else "customer"

    with pytest.raises(TypeError, match=rf"'{name}' on {type(row).__name__}: the name is taken"):
        check_names([row], [name])


def test_names_that_are_free_are_let_through() -> None:
    check_names([{"customer_id": 7}, Plain(), OrderEvent()], ["customer", "device"])


@pytest.mark.parametrize(
    "row",
    [Slotted(), FrozenSlotted(), Tuple(7), MappingProxyType({}), 7],
    ids=lambda row: type(row).__name__,
)
def test_a_row_that_takes_no_names_is_refused(row: Any) -> None:
    with pytest.raises(TypeError, match=rf"customer on {type(row).__name__}.*no further"):
        with_values(row, {"customer": "Ann"})
