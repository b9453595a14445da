"""A page that asks row by row is told so: by an error in tests and under DEBUG, else by a count."""

from typing import Any

import pytest
from pytest_django import Settings
from rest_framework import serializers
from rest_framework.test import APIClient

from refcache import references
from refcache.core.events import PerRow, RowsLoaded
from refcache.core.exceptions import PerRowLookup
from refcache.rest_framework import ReferenceField
from tests.restapp.models import Order
from tests.restapp.serializers import (
    BuyerAndByHandSerializer,
    ByHandSerializer,
    DeepOrderSerializer,
    LineSerializer,
    OrderSerializer,
    OrderWithLinesSerializer,
    OrderWithShopSerializer,
)

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "events"])


@pytest.fixture
def counting(settings: Settings) -> None:
    settings.REFCACHE = {**settings.REFCACHE, "PER_ROW": "count"}


def complaints(reference: str) -> int:
    return references.counts.of(PerRow, reference)


def loads(reference: str) -> int:
    return references.counts.of(RowsLoaded, reference)


def generate(rows: list[Order]) -> Any:
    yield from rows


def test_a_generator_is_told_to_be_a_list(orders: list[Order]) -> None:
    serializer = OrderSerializer(generate(orders), many=True)

    with pytest.raises(PerRowLookup, match=r"'buyer' is looked up row by row.*not a generator"):
        _ = serializer.data


@pytest.mark.usefixtures("counting")
def test_a_generator_is_counted_and_shown(orders: list[Order]) -> None:
    before = complaints("gadget"), loads("gadget")

    shown = OrderSerializer(generate(orders), many=True).data

    assert [row["gadget"] for row in shown] == ["g0", "g1", "g2"]
    assert (complaints("gadget"), loads("gadget")) == (before[0] + 3, before[1] + 3)


@pytest.mark.parametrize("serializer", [OrderWithLinesSerializer, OrderWithShopSerializer])
def test_nested_rows_that_are_not_loaded_are_told(orders: list[Order], serializer: Any) -> None:
    rows = Order.objects.filter(pk=orders[0].pk)

    with pytest.raises(PerRowLookup, match="prefetch_related"):
        _ = serializer(rows, many=True).data


@pytest.mark.usefixtures("orders")
def test_a_third_level_that_is_not_loaded_is_told() -> None:
    with pytest.raises(PerRowLookup, match="'spot'"):
        _ = DeepOrderSerializer(Order.objects.prefetch_related("lines"), many=True).data


@pytest.mark.usefixtures("counting")
def test_nested_rows_that_are_not_loaded_are_counted_and_shown(orders: list[Order]) -> None:
    before = complaints("gadget")

    shown = OrderWithLinesSerializer(Order.objects.all(), many=True).data

    assert [line["gadget"] for line in shown[0]["lines"]] == ["g0", "g2"]
    # The parents' gadgets are the same: none of the lines' was unknown.
    assert complaints("gadget") == before
    assert len(shown) == len(orders)


def test_rows_given_one_by_one_under_many_are_told(orders: list[Order]) -> None:
    serializer: Any = OrderSerializer(many=True)

    with pytest.raises(PerRowLookup):
        serializer.to_representation(orders)


def test_a_single_object_is_never_row_by_row(orders: list[Order]) -> None:
    for order in orders:
        assert OrderSerializer(order).data["gadget"]


def test_serializers_made_for_each_row_are_told(orders: list[Order]) -> None:
    serializer = BuyerAndByHandSerializer(orders, many=True)

    with pytest.raises(PerRowLookup, match="'gadget' is looked up row by row"):
        _ = serializer.data


@pytest.mark.usefixtures("counting")
def test_serializers_made_for_each_row_are_counted_and_shown(orders: list[Order]) -> None:
    before = complaints("gadget")

    shown = BuyerAndByHandSerializer(orders, many=True).data

    assert [[line["gadget"] for line in row["lines"]] for row in shown] == [
        ["g0", "g2"],
        ["g1", "g0"],
        ["g2", "g1"],
    ]
    assert complaints("gadget") == before + len(orders)


def test_serializers_made_for_each_row_are_told_by_the_mixin_without_a_field_of_the_rows(
    orders: list[Order], api: APIClient
) -> None:
    assert ByHandSerializer(orders, many=True).data

    with pytest.raises(PerRowLookup):
        api.get("/by-hand/")


def test_a_serializer_made_for_a_single_object_is_no_row_by_row(
    orders: list[Order], api: APIClient
) -> None:
    for path in ("by-hand", "buyer-and-by-hand"):
        response = api.get(f"/{path}/{orders[0].pk}/")

        assert [line["gadget"] for line in response.json()["lines"]] == ["g0", "g2"]


def test_serializers_after_each_other_are_not_row_by_row(orders: list[Order]) -> None:
    context: dict[str, Any] = {}

    for order in orders:
        shown = LineSerializer(order.lines.all(), many=True, context=context).data
        assert len(shown) == 2


def test_a_list_of_nested_dictionaries_is_many(orders: list[Order]) -> None:
    class Package(serializers.Serializer[Any]):
        gadget = ReferenceField("gadget", key="gadget", field="serial")

    class Serializer(serializers.Serializer[Any]):
        packages = serializers.ListField(child=Package(), source="ask_packages")

    class Row:
        def ask_packages(self) -> list[dict[str, Any]]:
            return [{"gadget": orders[0].gadget_id}]

    with pytest.raises(PerRowLookup):
        _ = Serializer(Row()).data


@pytest.mark.usefixtures("orders")
@pytest.mark.parametrize(
    ("debug", "policy", "raises"),
    [
        (True, None, True),
        (False, None, False),
        (True, "count", False),
        (False, "raise", True),
    ],
)
def test_debug_and_the_setting_decide(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    policy: str | None,
    *,
    debug: bool,
    raises: bool,
) -> None:
    monkeypatch.delattr("django.core.mail.outbox")  # As outside of a test run.
    settings.DEBUG = debug
    settings.REFCACHE = {**settings.REFCACHE, "PER_ROW": policy}
    serializer = OrderWithShopSerializer(generate(list(Order.objects.all())), many=True)
    before = complaints("buyer")

    if raises:
        with pytest.raises(PerRowLookup):
            _ = serializer.data
    else:
        assert len(serializer.data) == 3

    assert complaints("buyer") > before
