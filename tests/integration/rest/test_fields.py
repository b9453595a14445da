"""ReferenceField: which keys are gathered, and what is shown for them."""

import copy
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier
from typing import Any

import pytest
from django.core.paginator import Paginator
from django.db import connections
from django.db.models import Prefetch
from rest_framework import serializers

from refcache import InvalidReference, UnknownReference, references
from refcache.core.events import RowsLoaded
from refcache.rest_framework import ReferenceField
from tests.restapp.models import Buyer, Invoice, Line, Order, Shop
from tests.restapp.serializers import (
    DeepOrderSerializer,
    LineSerializer,
    OrderSerializer,
    OrderWithLinesSerializer,
    OrderWithShopSerializer,
)

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "events"])

NO_SUCH_ID = 10**9


class BuyerSerializer(serializers.Serializer[Any]):
    """For rows of any kind."""

    buyer = ReferenceField("buyer", key="buyer_id", field="name")


@dataclass
class Row:
    buyer_id: int | None


def loads(reference: str = "buyer") -> int:
    return references.counts.of(RowsLoaded, reference)


@pytest.fixture
def buyer_ids() -> list[int]:
    return [Buyer.objects.create(name=name).pk for name in ("Ann", "Bob", "Cyd")]


def show(rows: Any, serializer: Any = BuyerSerializer, **kwargs: Any) -> Any:
    return serializer(rows, many=True, **kwargs).data


def test_a_field_shows_one_value_and_a_reference_without_a_field_all(orders: list[Order]) -> None:
    shown = show(orders[:1], OrderSerializer)

    assert shown == [
        {
            "id": orders[0].pk,
            "buyer_id": orders[0].buyer_id,
            "gadget_id": orders[0].gadget_id,
            "buyer": {"name": "b0", "tier": "basic"},
            "buyer_name": "b0",
            "gadget": "g0",
        }
    ]


@pytest.mark.parametrize("kind", ["list", "tuple", "queryset", "set", "page", "dict_values"])
def test_all_rows_of_any_collection_are_one_load(orders: list[Order], kind: str) -> None:
    rows: Any = {
        "list": orders,
        "tuple": tuple(orders),
        "queryset": Order.objects.all(),
        "set": set(orders),
        "page": Paginator(Order.objects.all(), 10).page(1),
        "dict_values": {order.pk: order for order in orders}.values(),
    }[kind]
    before = loads()

    shown = show(rows)

    assert sorted(row["buyer"] for row in shown) == ["b0", "b1", "b2"]
    assert loads() == before + 1


def test_dictionaries_and_dataclasses_are_rows(buyer_ids: list[int]) -> None:
    before = loads()

    assert [row["buyer"] for row in show([{"buyer_id": pk} for pk in buyer_ids])] == [
        "Ann",
        "Bob",
        "Cyd",
    ]
    assert [row["buyer"] for row in show([Row(pk) for pk in buyer_ids])] == ["Ann", "Bob", "Cyd"]

    assert loads() == before + 1


def test_values_of_a_queryset_are_rows(orders: list[Order], measured: Any) -> None:
    with measured() as cost:
        shown = show(Order.objects.values("buyer_id"))

    assert len(shown) == len(orders)
    assert cost.counts == (1, 1, 3)


def test_a_manager_is_asked_by_a_second_query_and_not_row_by_row(
    orders: list[Order], measured: Any
) -> None:
    with measured() as cost:
        shown = show(orders[0].lines, LineSerializer)

    assert [row["gadget"] for row in shown] == ["g0", "g2"]
    assert len(cost.to_b) == 1
    assert len(cost.to_a) == 2


def test_a_manager_whose_rows_are_prefetched_is_not_asked(
    orders: list[Order], measured: Any
) -> None:
    order = Order.objects.prefetch_related("lines").get(pk=orders[0].pk)

    with measured() as cost:
        show(order.lines, LineSerializer)

    assert cost.to_a == []


def test_a_single_object_is_one_load(orders: list[Order]) -> None:
    before = loads()

    assert OrderSerializer(orders[0]).data["buyer_name"] == "b0"

    assert loads() == before + 1


def test_a_single_dictionary_is_a_row(buyer_ids: list[int]) -> None:
    assert BuyerSerializer({"buyer_id": buyer_ids[0]}).data == {"buyer": "Ann"}


def test_nested_rows_are_gathered_with_their_parents(orders: list[Order]) -> None:
    before = loads("gadget")

    shown = show(Order.objects.prefetch_related("lines"), OrderWithLinesSerializer)

    assert [[line["gadget"] for line in order["lines"]] for order in shown] == [
        ["g0", "g2"],
        ["g1", "g0"],
        ["g2", "g1"],
    ]
    assert len(orders) == len(shown)
    assert loads("gadget") == before + 1


@pytest.mark.usefixtures("orders")
def test_three_levels_are_gathered(measured: Any) -> None:
    rows = Order.objects.prefetch_related("lines__parts")

    with measured() as cost:
        shown = show(rows, DeepOrderSerializer)

    assert [part["spot"] for part in shown[0]["lines"][0]["parts"]] == ["s0", "s1"]
    assert len(cost.to_a) == 3
    # Buyers, gadgets, spots; and the spots' primary keys by site and number.
    assert len(cost.to_b) == 4


def test_a_single_object_gathers_its_nested_rows(orders: list[Order]) -> None:
    order = Order.objects.prefetch_related("lines__parts").get(pk=orders[0].pk)
    before = loads("gadget")

    shown = DeepOrderSerializer(order).data

    assert [line["gadget"] for line in shown["lines"]] == ["g0", "g2"]
    assert loads("gadget") == before + 1


def test_rows_of_a_prefetch_into_an_attribute_are_gathered(orders: list[Order]) -> None:
    class Serializer(OrderSerializer):
        lines = LineSerializer(many=True, source="chosen")

        class Meta(OrderSerializer.Meta):
            fields = ["lines"]

    rows = Order.objects.prefetch_related(Prefetch("lines", to_attr="chosen"))
    before = loads("gadget")

    assert len(show(rows, Serializer)) == len(orders)

    assert loads("gadget") == before + 1


def test_joined_rows_are_gathered(orders: list[Order], measured: Any) -> None:
    with measured() as cost:
        shown = show(Order.objects.select_related("shop"), OrderWithShopSerializer)

    assert [order["shop"]["gadget"] for order in shown] == ["g2", "g1", "g0"]
    assert len(shown) == len(orders)
    assert cost.counts == (1, 2, 3)


def test_nested_dictionaries_are_gathered(orders: list[Order]) -> None:
    class PackageSerializer(serializers.Serializer[Any]):
        gadget = ReferenceField("gadget", key="gadget", field="serial")

    class Serializer(serializers.Serializer[Any]):
        packages = PackageSerializer(many=True)
        listed = serializers.ListField(child=PackageSerializer(), source="packages")
        named = serializers.DictField(child=PackageSerializer(), source="packages_by_name")

    gadgets = [order.gadget_id for order in orders]
    rows = [
        {
            "packages": [{"gadget": gadget}],
            "packages_by_name": {"a": {"gadget": gadgets[0]}, "b": {"gadget": None}},
        }
        for gadget in gadgets
    ]
    before = loads("gadget")

    shown = show(rows, Serializer)

    assert shown[1] == {
        "packages": [{"gadget": "g1"}],
        "listed": [{"gadget": "g1"}],
        "named": {"a": {"gadget": "g0"}, "b": {"gadget": None}},
    }
    assert loads("gadget") == before + 1


def test_nested_rows_of_another_source_are_gathered(orders: list[Order]) -> None:
    class Serializer(serializers.Serializer[Any]):
        order = OrderSerializer(source="*")
        neighbour = OrderSerializer(source="line.order")

    rows = [
        {"buyer_id": order.buyer_id, "gadget_id": None, "id": 1, "line": Line(order=orders[0])}
        for order in orders
    ]
    before = loads()

    shown = show(rows, Serializer)

    assert [row["order"]["buyer_name"] for row in shown] == ["b0", "b1", "b2"]
    assert {row["neighbour"]["buyer_name"] for row in shown} == {"b0"}
    assert loads() == before + 1


def test_a_nested_object_that_is_null_is_null(buyer_ids: list[int]) -> None:
    order = Order.objects.create(buyer_id=buyer_ids[0])

    shown = show(Order.objects.select_related("shop"), OrderWithShopSerializer)

    assert order.shop is None
    assert shown == [{"buyer_name": "Ann", "gadget": None, "shop": None}]


def test_write_only_serializers_are_not_gathered(orders: list[Order], measured: Any) -> None:
    class Serializer(OrderSerializer):
        lines = LineSerializer(many=True, write_only=True)

        class Meta(OrderSerializer.Meta):
            fields = ["buyer_name", "lines"]

    rows = Order.objects.prefetch_related("lines")

    with measured() as cost:
        assert show(rows, Serializer) == [{"buyer_name": f"b{n}"} for n in range(len(orders))]

    assert len(cost.to_b) == 1


def test_fields_are_inherited_and_can_be_dropped(orders: list[Order]) -> None:
    class Child(BuyerSerializer):
        again = ReferenceField("buyer", key="buyer_id", field="tier")

    class Less(Child):
        buyer = None  # type: ignore[assignment]  # how REST framework drops a field

    assert show(orders[:1], Child) == [{"buyer": "b0", "again": "basic"}]
    assert show(orders[:1], Less) == [{"again": "basic"}]


def test_an_override_of_to_representation_sees_the_values(orders: list[Order]) -> None:
    class Serializer(BuyerSerializer):
        def to_representation(self, instance: Order) -> Any:
            return super().to_representation(instance)["buyer"].upper()

    before = loads()

    assert show(orders, Serializer) == ["B0", "B1", "B2"]
    assert loads() == before + 1


def test_an_override_may_show_another_object(orders: list[Order]) -> None:
    class Serializer(BuyerSerializer):
        def to_representation(self, instance: Any) -> Any:
            return super().to_representation(instance.order)

    assert Serializer(Line(order=orders[0])).data == {"buyer": "b0"}


def test_a_null_key_is_null_and_no_lookup(measured: Any) -> None:
    with measured() as cost:
        assert show([Row(None), Row(None)]) == [{"buyer": None}] * 2

    assert cost.counts == (0, 0, 0)


def test_a_missing_row_has_its_declared_placeholder() -> None:
    class Serializer(BuyerSerializer):
        whole = ReferenceField("buyer", key="buyer_id")

    name = f"Unknown Buyer (ID: {NO_SUCH_ID})"

    assert show([Row(NO_SUCH_ID)], Serializer) == [
        {"buyer": name, "whole": {"name": name, "tier": None}}
    ]


def test_a_row_outside_the_filter_is_missing(buyer_ids: list[int]) -> None:
    Buyer.objects.filter(pk=buyer_ids[0]).update(is_active=False)

    assert show([Row(buyer_ids[0])]) == [{"buyer": f"Unknown Buyer (ID: {buyer_ids[0]})"}]


def test_a_missing_row_without_a_placeholder_is_null() -> None:
    class Serializer(serializers.Serializer[Any]):
        gadget = ReferenceField("gadget", key="gadget_id")
        serial = ReferenceField("gadget", key="gadget_id", field="serial")

    assert show([{"gadget_id": NO_SUCH_ID}], Serializer) == [{"gadget": None, "serial": None}]


@pytest.mark.parametrize("key", ["abc", "", 2**70, {"a": 1}, [1], 1.5])
def test_a_key_that_cannot_be_one_is_a_missing_row(key: Any, buyer_ids: list[int]) -> None:
    shown = show([{"buyer_id": key}, {"buyer_id": buyer_ids[0]}])

    assert [row["buyer"] for row in shown] == [f"Unknown Buyer (ID: {key})", "Ann"]


def test_spellings_of_a_key_are_one(buyer_ids: list[int], measured: Any) -> None:
    with measured() as cost:
        shown = show([Row(buyer_ids[0]), {"buyer_id": str(buyer_ids[0])}])

    assert [row["buyer"] for row in shown] == ["Ann", "Ann"]
    assert cost.counts == (0, 1, 3)


def test_composite_keys_are_taken_from_several_attributes(orders: list[Order]) -> None:
    class Serializer(serializers.Serializer[Any]):
        spot = ReferenceField("spot", key=["site", "number"], field="label")

    rows = [
        {"site": "x", "number": 1},
        {"site": "x", "number": None},
        {"site": "y", "number": 1},
    ]

    assert [row["spot"] for row in show(rows, Serializer)] == ["s1", None, None]
    assert len(orders) == len(rows)


def test_an_attribute_may_hold_a_whole_composite_key(orders: list[Order]) -> None:
    class Serializer(serializers.Serializer[Any]):
        spot = ReferenceField("spot", key="place", field="label")

    rows = [{"place": ("x", 1)}, {"place": ["x", 2]}]

    assert [row["spot"] for row in show(rows, Serializer)] == ["s1", "s2"]
    assert orders


def test_keys_other_than_the_primary_key_work(orders: list[Order]) -> None:
    class Serializer(serializers.Serializer[Any]):
        gadget = ReferenceField("by-serial", key="serial", field="serial")

    assert [row["gadget"] for row in show(orders, Serializer)] == ["g0", "g1", "g2"]


def test_a_spanned_field_is_shown(orders: list[Order]) -> None:
    class Serializer(serializers.Serializer[Any]):
        account = ReferenceField("account", key="buyer_id")
        firm = ReferenceField("account", key="buyer_id", field="firm__name")

    assert show(orders[:1], Serializer) == [
        {"account": {"name": "b0", "firm__name": "ACME"}, "firm": "ACME"}
    ]


def test_dotted_keys_are_followed(orders: list[Order]) -> None:
    class Serializer(serializers.Serializer[Any]):
        buyer = ReferenceField("buyer", key="order.buyer_id", field="name")
        invoiced = ReferenceField("buyer", key="order.invoice.buyer_id", field="name")

    Invoice.objects.create(order=orders[0], buyer_id=orders[2].buyer_id)
    rows = Line.objects.select_related("order__invoice")[:3]
    before = loads()

    shown = show(rows, Serializer)

    assert [(row["buyer"], row["invoiced"]) for row in shown] == [
        ("b0", "b2"),
        ("b0", "b2"),
        ("b1", None),
    ]
    assert loads() == before + 1


def test_a_dotted_key_over_null_is_null() -> None:
    class Serializer(serializers.Serializer[Any]):
        gadget = ReferenceField("gadget", key="shop.gadget_id", field="serial")

    assert show([Order(shop=None), Order(shop=Shop(gadget_id=None))], Serializer) == [
        {"gadget": None},
        {"gadget": None},
    ]


def test_methods_and_properties_give_keys(orders: list[Order]) -> None:
    class Serializer(serializers.Serializer[Any]):
        asked = ReferenceField("buyer", key="ask_buyer", field="name")
        text = ReferenceField("buyer", key="buyer_text", field="name")

    before = loads()

    assert show(orders[:1], Serializer) == [{"asked": "b0", "text": "b0"}]
    assert loads() == before + 1


def test_an_unknown_reference_is_told_at_the_first_use_even_without_rows() -> None:
    class Serializer(serializers.Serializer[Any]):
        buyer = ReferenceField("byer", key="buyer_id")

    with pytest.raises(UnknownReference, match=r"'byer' is not a registered reference.*gadget"):
        _ = Serializer().fields


def test_an_unknown_field_is_told_at_the_first_use_even_without_rows() -> None:
    class Serializer(serializers.Serializer[Any]):
        buyer = ReferenceField("buyer", key="buyer_id", field="nam")

    with pytest.raises(InvalidReference, match=r"'nam'.*no such field \(known: name, tier\)"):
        _ = Serializer().fields


def test_an_attribute_that_no_object_has_is_an_error() -> None:
    class Serializer(serializers.Serializer[Any]):
        buyer = ReferenceField("buyer", key="buyr_id")

    with pytest.raises(AttributeError, match="buyr_id"):
        show([Row(1)], Serializer)


def test_a_source_is_refused() -> None:
    with pytest.raises(TypeError, match="takes key=, not source="):
        ReferenceField("buyer", key="buyer_id", source="buyer")


def test_deep_copies_of_a_serializer_are_independent(orders: list[Order]) -> None:
    serializer = OrderSerializer(orders[0])
    copied = copy.deepcopy(serializer)

    assert serializer.data["buyer_name"] == "b0"
    assert OrderSerializer(orders[1]).data["buyer_name"] == "b1"
    assert copied.fields["buyer"] is not serializer.fields["buyer"]


def test_a_serializer_that_is_used_again_shows_what_is_true_now(buyer_ids: list[int]) -> None:
    serializer = BuyerSerializer()
    row = Row(buyer_ids[0])
    before = serializer.to_representation(row)

    Buyer.objects.get(pk=buyer_ids[0]).delete()

    assert before == {"buyer": "Ann"}
    assert serializer.to_representation(row) != before


def test_a_serializer_of_another_instance_gathers_anew(orders: list[Order]) -> None:
    serializer = BuyerSerializer(orders[0])
    first = serializer.to_representation(serializer.instance)
    serializer.instance = orders[1]

    assert [first, serializer.to_representation(orders[1])] == [{"buyer": "b0"}, {"buyer": "b1"}]


def test_threads_share_a_serializer_class(orders: list[Order]) -> None:
    barrier = Barrier(4)

    def serialize(order: Order) -> list[Any]:
        barrier.wait()
        try:
            return [show([order] * 10) for _ in range(20)]
        finally:
            connections.close_all()

    chosen = [*orders, orders[0]]
    with ThreadPoolExecutor(len(chosen)) as threads:
        found = list(threads.map(serialize, chosen))

    for n, pages in zip((0, 1, 2, 0), found, strict=True):
        assert pages == [[{"buyer": f"b{n}"}] * 10] * 20


def test_each_row_has_a_dictionary_of_its_own(buyer_ids: list[int]) -> None:
    class Serializer(serializers.Serializer[Any]):
        buyer = ReferenceField("buyer", key="buyer_id")

    first, second = show([Row(buyer_ids[0])] * 2, Serializer)
    first["buyer"]["name"] = "changed"

    assert second["buyer"]["name"] == "Ann"


def test_data_that_is_validated_and_not_saved_is_shown(buyer_ids: list[int]) -> None:
    class Serializer(BuyerSerializer):
        buyer_id = serializers.IntegerField()

    serializer = Serializer(data=[{"buyer_id": pk} for pk in buyer_ids], many=True)
    assert serializer.is_valid()
    before = loads()

    assert [row["buyer"] for row in serializer.data] == ["Ann", "Bob", "Cyd"]
    assert loads() == before + 1
