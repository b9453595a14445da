"""ReferenceContextMixin: what a view gathers, and the mappings in its serializers' context."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from pytest_django import Settings
from rest_framework.request import Request
from rest_framework.test import APIClient, APIRequestFactory

from refcache import references
from refcache.core.events import PerRow
from refcache.core.exceptions import PerRowLookup
from tests.restapp.models import Buyer, Line, Order
from tests.restapp.serializers import LineSerializer
from tests.restapp.urls import ContextViewSet, GatheringViewSet

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "events"])

NO_SUCH_ID = 10**9


def view_of(kind: Any = ContextViewSet, method: str = "get") -> Any:
    view = kind(format_kwarg=None)
    view.request = Request(getattr(APIRequestFactory(), method)("/"))
    return view


@pytest.mark.parametrize("kind", ["manager", "generator", "queryset", "list"])
def test_rows_of_any_kind_are_gathered_without_a_second_query(
    orders: list[Order], kind: str, measured: Any
) -> None:
    def generate() -> Iterator[Line]:
        yield from orders[0].lines.all()

    rows: Any = {
        "manager": orders[0].lines,
        "generator": generate(),
        "queryset": orders[0].lines.all(),
        "list": list(orders[0].lines.all()),
    }[kind]
    view = view_of(GatheringViewSet)
    view.serializer_class = LineSerializer

    with measured() as cost:
        shown = view.get_serializer(rows, many=True).data

    assert [row["gadget"] for row in shown] == ["g0", "g2"]
    assert cost.counts == (0 if kind == "list" else 1, 1, 3)


def test_relations_that_are_not_loaded_are_loaded_and_gathered(
    orders: list[Order], api: APIClient, measured: Any
) -> None:
    api.get("/deep/")

    with measured() as cost:
        shown = api.get("/deep/").json()

    assert [part["spot"] for part in shown[2]["lines"][1]["parts"]] == ["s2", "s0"]
    assert len(shown) == len(orders)
    # Orders, lines, parts; and the keys' round trip to the spots.
    assert cost.counts == (3, 0, 2)


def test_relations_of_a_single_object_are_loaded_and_gathered(
    orders: list[Order], api: APIClient, measured: Any
) -> None:
    api.get(f"/deep/{orders[0].pk}/")

    with measured() as cost:
        api.get(f"/deep/{orders[0].pk}/")

    assert cost.counts == (3, 0, 2)


def test_a_context_is_resolved_for_the_whole_page(
    orders: list[Order], api: APIClient, measured: Any
) -> None:
    with measured() as cost:
        shown = api.get("/context/").json()

    assert [row["buyer_name"] for row in shown] == ["b0", "b1", "b2"]
    assert len(shown) == len(orders)
    assert cost.counts == (1, 1, 3)


def test_a_context_serves_a_single_object(orders: list[Order], api: APIClient) -> None:
    assert api.get(f"/context/{orders[1].pk}/").json()["buyer_name"] == "b1"


def test_nothing_is_asked_before_the_context_is_read(orders: list[Order], measured: Any) -> None:
    with measured() as cost:
        view_of().get_serializer(orders, many=True)

    assert cost.counts == (0, 0, 0)


def test_a_context_is_a_mapping(orders: list[Order]) -> None:
    orders[2].buyer_id = NO_SUCH_ID
    buyers = view_of().get_serializer(orders, many=True).context["buyers"]

    assert list(buyers) == [order.buyer_id for order in orders]
    assert len(buyers) == 3
    assert buyers[orders[0].buyer_id].name == "b0"
    assert buyers[str(orders[0].buyer_id)].name == "b0"
    assert [buyer.name for buyer in buyers.values()][:2] == ["b0", "b1"]


def test_a_context_has_no_null_and_no_key_that_cannot_be_one(orders: list[Order]) -> None:
    buyers = view_of().get_serializer(orders, many=True).context["buyers"]

    assert buyers.get(None) is None
    assert buyers.get("abc", "default") == "default"
    assert None not in buyers
    with pytest.raises(KeyError):
        buyers["abc"]


def test_a_context_gives_a_falsy_placeholder_for_a_missing_row() -> None:
    rows = [Order(buyer_id=NO_SUCH_ID)]
    buyers = view_of().get_serializer(rows, many=True).context["buyers"]

    assert not buyers[NO_SUCH_ID]
    assert buyers[NO_SUCH_ID].name == f"Unknown Buyer (ID: {NO_SUCH_ID})"


def test_a_context_that_was_given_no_rows_is_told(orders: list[Order]) -> None:
    buyers = view_of().get_serializer_context()["buyers"]

    with pytest.raises(PerRowLookup, match=r"'buyers' knows the rows that get_serializer\(\)"):
        buyers.get(orders[0].buyer_id)


def test_a_context_that_was_given_no_rows_is_counted_in_production(
    orders: list[Order], settings: Settings
) -> None:
    settings.REFCACHE = {**settings.REFCACHE, "PER_ROW": "count"}
    buyers = view_of().get_serializer_context()["buyers"]
    before = references.counts.of(PerRow, "buyer")

    assert buyers.get(orders[0].buyer_id).name == "b0"

    assert references.counts.of(PerRow, "buyer") == before + 1


def test_a_key_from_outside_of_the_page_is_told(orders: list[Order]) -> None:
    buyers = view_of().get_serializer(orders[:2], many=True).context["buyers"]

    with pytest.raises(PerRowLookup):
        buyers.get(orders[2].buyer_id)


def test_a_single_object_may_ask_for_any_key(orders: list[Order]) -> None:
    buyers = view_of().get_serializer(orders[0]).context["buyers"]

    assert buyers.get(orders[2].buyer_id).name == "b2"


def test_a_context_without_the_mixin_is_missed(orders: list[Order]) -> None:
    serializer = ContextViewSet.serializer_class(orders, many=True)

    with pytest.raises(KeyError, match="buyers"):
        _ = serializer.data


def test_rows_of_another_kind_do_not_hinder(orders: list[Order]) -> None:
    view = view_of()
    rows = [SimpleNamespace(gadget_id=order.gadget_id) for order in orders]
    view.serializer_class = LineSerializer

    assert [row["gadget"] for row in view.get_serializer(rows, many=True).data] == [
        "g0",
        "g1",
        "g2",
    ]


def test_serializers_made_with_the_views_context_are_gathered(
    orders: list[Order], measured: Any
) -> None:
    view = view_of(GatheringViewSet)

    with measured() as cost:
        lines = LineSerializer(
            orders[0].lines.all(), many=True, context=view.get_serializer_context()
        )
        assert len(lines.data) == 2

    assert cost.counts == (1, 1, 3)


def test_serializers_of_one_request_share_what_they_found(
    orders: list[Order], measured: Any
) -> None:
    view = view_of(GatheringViewSet)
    _ = view.get_serializer(orders, many=True).data

    with measured() as cost:
        _ = view.get_serializer(orders[0]).data

    assert cost.counts == (0, 0, 0)


def test_a_request_that_writes_reads_again_after_the_write(orders: list[Order]) -> None:
    view = view_of(GatheringViewSet, "post")
    before = view.get_serializer(orders, many=True).data
    buyer = Buyer.objects.get(name="b0")

    buyer.name = "Renamed"
    buyer.save()

    assert before[0]["buyer_name"] == "b0"
    assert view.get_serializer(orders, many=True).data[0]["buyer_name"] == "Renamed"
