"""What a response tells of stale answers; what a serializer shows of rows that failed."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.db import connections
from pytest_django import Settings
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.viewsets import ReadOnlyModelViewSet, ViewSet

from refcache import ReferenceUnavailable, Staleness, references
from refcache.core import entries
from refcache.core.events import PerRow
from refcache.rest_framework import ReferenceContextMixin, ReferenceField
from tests.conftest import PostgresServers
from tests.integration.costs import PREFIX
from tests.restapp.models import Line, Order
from tests.restapp.urls import ByPage
from tests.servers.redis_server import RedisServer

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "events"])

TTL, TOLERATED = 300, 3600  # seconds
HANDLER = "refcache.rest_framework.exception_handler"
LOAD_FAILED = "past its TTL, the load failed"
REFRESHED = "past its TTL, being refreshed"

Declare = Callable[..., None]
Age = Callable[..., None]


class GadgetSerializer(serializers.ModelSerializer[Line]):
    gadget = ReferenceField("part", key="gadget_id", field="serial")

    class Meta:
        model = Line
        fields = ["gadget"]


class BuyerSerializer(serializers.ModelSerializer[Order]):
    buyer = ReferenceField("person", key="buyer_id", field="name")
    whole = ReferenceField("person", key="buyer_id")

    class Meta:
        model = Order
        fields = ["buyer", "whole"]


class DeepSerializer(BuyerSerializer):
    lines = GadgetSerializer(many=True)

    class Meta(BuyerSerializer.Meta):
        fields = ["buyer", "lines"]


class MappedSerializer(serializers.ModelSerializer[Order]):
    name = serializers.SerializerMethodField()

    class Meta:
        model = Order
        fields = ["name"]

    def get_name(self, order: Order) -> str | None:
        found = self.context["people"].get(order.buyer_id)
        return found.name if found else None


class Orders(ReferenceContextMixin, ReadOnlyModelViewSet[Order]):
    queryset = Order.objects.all()
    serializer_class: Any = BuyerSerializer
    reports_staleness = True


class Mapped(Orders):
    serializer_class = MappedSerializer
    reference_context = {"people": ("person", "buyer_id")}


class Deep(Orders):
    serializer_class = DeepSerializer


class Paged(Orders):
    pagination_class = ByPage


class Silent(Orders):
    reports_staleness = False


def refresh_elsewhere(keys: dict[str, list[Any]], within: float) -> None:
    """An executor whose queue is not worked on."""


@pytest.fixture
def declare() -> Iterator[Declare]:
    """Declares references of the project until the test ends."""
    declared = references._declared
    before = dict(declared._declarations)

    def register(model: str = "restapp.Buyer", name: str = "person", **how: Any) -> None:
        fields = ["name", "tier"] if model == "restapp.Buyer" else ["serial"]
        references.register(model, fields, name=name, ttl=TTL, **how)
        references[name].invalidate_all()

    yield register
    declared._declarations = before
    declared.forget_plans()


@pytest.fixture
def tolerant(declare: Declare, settings: Settings) -> None:
    settings.REFCACHE = {
        **settings.REFCACHE,
        "EXECUTOR": f"{__name__}.refresh_elsewhere",
        "JITTER": 0,
        "EARLY_REFRESH": 0,
        "BREAKER_FAILURES": 1,
        "BREAKER_PAUSE": 60,
    }
    declare(staleness=Staleness(while_revalidate=60, if_error=TOLERATED))
    declare("restapp.Gadget", "part", staleness=Staleness(if_error=TOLERATED))


@pytest.fixture
def age(client: redis.Redis) -> Age:
    """Lets the entries of a reference be so many seconds older."""

    def move(seconds: float, reference: str = "person") -> None:
        ms = timedelta(seconds=seconds) // timedelta(milliseconds=1)
        for key in client.scan_iter(PREFIX + reference.encode() + b":*:*:*"):
            raw = client.get(key)
            assert isinstance(raw, bytes)
            entry = entries.unpack(raw)
            older = entry._replace(at=entry.at - ms, until=entry.until - ms)
            client.set(key, entries.pack(key, older), keepttl=True)

    return move


@pytest.fixture
def database(postgres_servers: PostgresServers) -> Iterator[Any]:
    """The one that the orders refer to."""
    yield postgres_servers.application
    postgres_servers.application.mend()
    connections.close_all()


def ask(view: Any = Orders, **kwargs: Any) -> Response:
    action = "retrieve" if kwargs else "list"
    response: Response = view.as_view({"get": action})(APIRequestFactory().get("/"), **kwargs)
    return response


def told(response: Response) -> tuple[str | None, str | None]:
    return response.headers.get("Age"), response.headers.get("Refcache-Stale")


@pytest.mark.usefixtures("orders", "tolerant")
def test_nothing_is_told_unless_it_is_asked_for(age: Age) -> None:
    ask(Silent)
    age(TTL + 1)

    assert told(ask(Silent)) == (None, None)


@pytest.mark.usefixtures("orders", "tolerant")
@pytest.mark.parametrize("view", [Orders, Mapped, Deep, Paged])
def test_what_is_loaded_for_the_response_has_no_age(view: Any) -> None:
    assert told(ask(view)) == ("0", None)


@pytest.mark.usefixtures("orders", "tolerant")
@pytest.mark.parametrize("view", [Orders, Mapped, Deep, Paged])
def test_the_age_is_the_oldest_answers(age: Age, view: Any) -> None:
    ask(view)
    age(70)

    assert told(ask(view)) == ("70", None)


@pytest.mark.usefixtures("orders", "tolerant")
@pytest.mark.parametrize("view", [Orders, Mapped, Deep, Paged])
def test_what_is_past_its_ttl_is_told(age: Age, view: Any) -> None:
    ask(view)
    age(TTL + 10)

    assert told(ask(view)) == ("310", f'"person";n=3;age=310;why="{REFRESHED}"')


@pytest.mark.usefixtures("tolerant")
def test_a_single_object_tells_of_its_own(orders: list[Order], age: Age) -> None:
    ask()
    age(TTL + 10)

    assert told(ask(pk=orders[0].pk)) == ("310", f'"person";n=1;age=310;why="{REFRESHED}"')


@pytest.mark.usefixtures("orders", "tolerant")
def test_each_reference_and_reason_is_told(age: Age, database: Any) -> None:
    ask(Deep)
    age(TTL + 10)
    age(TTL + 100, "part")
    database.stop()

    assert told(ask(Deep)) == (
        "400",
        f'"part";n=3;age=400;why="{LOAD_FAILED}", "person";n=3;age=310;why="{REFRESHED}"',
    )


@pytest.mark.usefixtures("orders", "tolerant")
def test_copies_of_an_outage_are_told(redis_server: RedisServer) -> None:
    redis_server.stop()
    ask()  # It opens the breaker, and keeps what it loads.

    assert told(ask()) == ("0", '"person";n=3;age=0;why="store unavailable"')


@pytest.mark.usefixtures("orders", "tolerant")
def test_a_page_without_references_tells_nothing() -> None:
    Order.objects.update(buyer_id=None)

    assert told(ask()) == (None, None)


@pytest.mark.usefixtures("orders", "tolerant")
def test_a_views_own_age_is_left_alone() -> None:
    class Own(Orders):
        def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
            response = super().list(request, *args, **kwargs)
            response["Age"] = "7"
            return response

    assert told(ask(Own)) == ("7", None)


def test_rows_that_failed_are_told_beside_those_that_did_not(
    orders: list[Order], declare: Declare, database: Any, age: Age
) -> None:
    declare(on_error="omit")
    ask(pk=orders[0].pk)
    age(70)
    database.stop()

    response = ask()

    assert [row["buyer"] for row in response.data] == ["b0", None, None]
    assert told(response) == ("70", '"person";n=2;failed;why="load failed"')


@pytest.mark.usefixtures("orders")
@pytest.mark.parametrize("view", [Orders, Mapped, Deep])
def test_a_row_that_failed_is_none_where_it_is_omitted(
    declare: Declare, database: Any, view: Any
) -> None:
    declare(on_error="omit", missing=lambda key: {"name": f"Unknown {key}"})
    declare("restapp.Gadget", "part", on_error="omit")
    database.stop()

    rows = ask(view).data

    assert {value for row in rows for value in row.values() if not isinstance(value, list)} == {
        None
    }
    assert all(line == {"gadget": None} for row in rows for line in row.get("lines", ()))


def test_rows_that_failed_are_asked_for_once(
    orders: list[Order], declare: Declare, database: Any, measured: Any
) -> None:
    declare(on_error="omit")
    database.stop()
    before = references.counts.of(PerRow)

    with measured() as cost:
        view = Mapped(format_kwarg=None)
        view.request = Request(APIRequestFactory().get("/"))
        both = [view.get_serializer(orders, many=True).data for _ in range(2)]

    assert both == [[{"name": None}] * 3] * 2
    assert cost.commands.count("claim") == 1
    assert references.counts.of(PerRow) == before
    assert list(view.get_serializer_context()["people"]) == []


def test_a_row_that_failed_is_its_placeholder_where_that_is_declared(
    orders: list[Order], declare: Declare, database: Any
) -> None:
    declare(on_error="placeholder", missing=lambda key: {"name": f"Unknown {key}"})
    database.stop()

    shown = ask(pk=orders[0].pk).data

    name = f"Unknown {orders[0].buyer_id}"
    assert shown == {"buyer": name, "whole": {"name": name, "tier": None}}


@pytest.mark.usefixtures("orders")
def test_a_row_that_failed_is_an_error_by_default(declare: Declare, database: Any) -> None:
    declare()
    database.stop()

    with pytest.raises(ReferenceUnavailable) as caught:
        ask()

    assert caught.value.reference == "person"


@pytest.mark.usefixtures("orders")
def test_the_exception_handler_answers_503(
    declare: Declare, database: Any, settings: Settings
) -> None:
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "EXCEPTION_HANDLER": HANDLER}
    declare()
    database.stop()

    response = ask()

    assert response.status_code == status.HTTP_503_SERVICE_UNAVAILABLE
    assert response.headers["Retry-After"] == "5"
    assert "Try again" in response.data["detail"]
    assert told(response) == (None, None)


def test_the_exception_handler_leaves_the_rest_to_rest_framework(settings: Settings) -> None:
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "EXCEPTION_HANDLER": HANDLER}

    class Failing(ViewSet):
        def list(self, _: Request) -> Response:
            raise ZeroDivisionError

    assert ask(pk=0).status_code == status.HTTP_404_NOT_FOUND
    with pytest.raises(ZeroDivisionError):
        Failing.as_view({"get": "list"})(APIRequestFactory().get("/"))
