"""What a page costs: queries to A (the orders), queries to B, round trips to Redis.

A change of a number here is a change of the product.
"""

import threading
from typing import Any

import pytest
import redis
from django.db.models import QuerySet
from pytest_django import Settings
from rest_framework.serializers import BaseSerializer

from tests.integration.rest.conftest import make_orders
from tests.restapp.models import Order
from tests.restapp.serializers import (
    DeepOrderSerializer,
    OrderSerializer,
    OrderWithLinesSerializer,
    OrderWithShopSerializer,
)

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "events"])


class Sent(threading.local):
    round_trips = 0


SENT = Sent()


class CountingConnection(redis.Connection):
    """Counts each time that it sends: one command, or a whole pipeline at once."""

    def send_packed_command(self, *args: Any, **kwargs: Any) -> None:
        SENT.round_trips += 1
        super().send_packed_command(*args, **kwargs)  # type: ignore[no-untyped-call]  # theirs


@pytest.fixture(autouse=True)
def counting(settings: Settings) -> None:
    options = {"CONNECTION_POOL_KWARGS": {"connection_class": CountingConnection}}
    settings.CACHES = {"default": {**settings.CACHES["default"], "OPTIONS": options}}


@pytest.fixture
def page() -> list[Order]:
    return make_orders(100)


def test_page_of_two_references_is_one_round_trip_when_warm(
    page: list[Order], measured: Any
) -> None:
    shown = warm_and_measure(OrderSerializer, Order.objects.all(), measured)

    assert (len(shown.data), *shown.costs) == (len(page), 1, 0, 1)


def test_page_of_two_references_is_three_round_trips_when_cold(
    page: list[Order], measured: Any
) -> None:
    connect(OrderSerializer)

    shown = measure(OrderSerializer, Order.objects.all(), measured)

    # One query for each reference; entries, claim and fill are the round trips.
    assert (len(shown.data), *shown.costs) == (len(page), 1, 2, 3)


@pytest.mark.usefixtures("page")
def test_nesting_over_a_joined_row_costs_nothing_when_warm(measured: Any) -> None:
    rows = Order.objects.select_related("shop")

    shown = warm_and_measure(OrderWithShopSerializer, rows, measured)

    assert shown.costs == (1, 0, 1)
    assert shown.data[0] == {
        "buyer_name": "b0",
        "gadget": "g0",
        "shop": {"name": "shop0", "gadget": "g99"},
    }


@pytest.mark.usefixtures("page")
def test_nesting_over_a_joined_row_costs_no_more_round_trips_when_cold(measured: Any) -> None:
    connect(OrderWithShopSerializer)

    shown = measure(OrderWithShopSerializer, Order.objects.select_related("shop"), measured)

    assert shown.costs == (1, 2, 3)


@pytest.mark.usefixtures("page")
def test_nested_rows_cost_the_query_that_prefetches_them(measured: Any) -> None:
    rows = Order.objects.prefetch_related("lines")

    shown = warm_and_measure(OrderWithLinesSerializer, rows, measured)

    assert shown.costs == (2, 0, 1)


@pytest.mark.usefixtures("page")
def test_nested_rows_cost_no_more_round_trips_when_cold(measured: Any) -> None:
    connect(OrderWithLinesSerializer)
    rows = Order.objects.prefetch_related("lines")

    shown = measure(OrderWithLinesSerializer, rows, measured)

    assert shown.costs == (2, 2, 3)


@pytest.mark.usefixtures("page")
def test_three_levels_are_one_read(measured: Any) -> None:
    rows = Order.objects.prefetch_related("lines__parts")

    shown = warm_and_measure(DeepOrderSerializer, rows, measured)

    # The composite key is one more round trip: from the key to the row.
    assert shown.costs == (3, 0, 2)


class Shown:
    """What a serializer gave, and what that cost: queries to A and to B, round trips."""

    def __init__(self, data: Any, costs: tuple[int, int, int]) -> None:
        self.data = data
        self.costs = costs


Serializer = type[BaseSerializer[Any]]


def warm_and_measure(serializer: Serializer, rows: QuerySet[Order], measured: Any) -> Shown:
    _ = serializer(rows.all(), many=True).data
    return measure(serializer, rows.all(), measured)


def measure(serializer: Serializer, rows: QuerySet[Order], measured: Any) -> Shown:
    before = SENT.round_trips
    with measured() as cost:
        data = serializer(rows, many=True).data
    to_a, to_b, _ = cost.counts
    return Shown(data, (to_a, to_b, SENT.round_trips - before))


def connect(serializer: Serializer) -> None:
    """Open the connection, which is a round trip of its own, by asking for nobody."""
    _ = serializer([Order(pk=-1, buyer_id=-1)], many=True).data
