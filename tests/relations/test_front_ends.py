"""What shows a page of a hundred rows with `ReferenceTo`, and what that costs: to A, B and Redis.

A change of a number here is a change of the product.
"""

import json
import re
from typing import Any, Optional

import pytest
import strawberry
import strawberry_django
from asgiref.sync import async_to_sync
from django.contrib.admin import ModelAdmin
from django.contrib.admin.sites import AdminSite
from django.contrib.admin.templatetags.admin_list import results
from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template import Context, Engine
from django.test import RequestFactory
from ninja import NinjaAPI, Schema
from ninja.pagination import paginate
from ninja.testing import TestAsyncClient, TestClient
from rest_framework import serializers
from strawberry_django.optimizer import DjangoOptimizerExtension

from tests.relations.conftest import Measure
from tests.relations.models import Visit

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "events"]),
    pytest.mark.usefixtures("page"),
]

NAMES = [f"c{n}" for n in range(100)]

# Queries to A, queries to B, round trips to Redis.
WARM = (1, 0, 1)
COLD = (1, 1, 3)


def costs(show: Any, measured: Measure) -> list[tuple[int, int, int]]:
    """What *show* costs when nothing is cached, and when everything is."""
    counted = []
    for _ in range(2):
        with measured() as cost:
            assert show() == NAMES
        counted.append(cost.counts)
    return counted


def test_a_template(measured: Measure) -> None:
    template = Engine().from_string("{% for visit in visits %}{{ visit.client.name }} {% endfor %}")

    def show() -> list[str]:
        visits = Visit.objects.prefetch_related("client")
        return template.render(Context({"visits": visits})).split()

    assert costs(show, measured) == [COLD, WARM]


def shown(visit: Visit) -> Any:
    return None if visit.client is None else visit.client.as_dict()


def listed(_: HttpRequest) -> HttpResponse:
    visits = Visit.objects.prefetch_related("client")
    return JsonResponse({"visits": [{"id": v.pk, "client": shown(v)} for v in visits]})


async def alisted(_: HttpRequest) -> HttpResponse:
    visits = Visit.objects.prefetch_related("client")
    return JsonResponse({"visits": [{"id": v.pk, "client": shown(v)} async for v in visits]})


@pytest.mark.parametrize("view", [listed, async_to_sync(alisted)], ids=["sync", "async"])
def test_a_json_response(view: Any, measured: Measure) -> None:
    def show() -> list[str]:
        visits = json.loads(view(RequestFactory().get("/")).content)["visits"]
        return [each["client"]["name"] for each in visits]

    assert costs(show, measured) == [COLD, WARM]


class ClientOut(Schema):
    name: str
    tier: str | None


class VisitOut(Schema):
    id: int
    client: ClientOut | None


@pytest.fixture(scope="module")
def api() -> NinjaAPI:
    api = NinjaAPI(urls_namespace="relations")

    @api.get("/visits", response=list[VisitOut])
    def visits(request: HttpRequest) -> Any:  # noqa: ARG001 - ninja's name
        return Visit.objects.prefetch_related("client")

    @api.get("/pages", response=list[VisitOut])
    @paginate
    def pages(request: HttpRequest) -> Any:  # noqa: ARG001 - ninja's name
        return Visit.objects.prefetch_related("client")

    @api.get("/avisits", response=list[VisitOut])
    async def avisits(request: HttpRequest) -> Any:  # noqa: ARG001 - ninja's name
        return [each async for each in Visit.objects.prefetch_related("client")]

    return api


def test_ninja(api: NinjaAPI, measured: Measure) -> None:
    client = TestClient(api)

    def show() -> list[str]:
        return [each["client"]["name"] for each in client.get("/visits").json()]

    assert costs(show, measured) == [COLD, WARM]


def test_a_page_of_ninja(api: NinjaAPI, measured: Measure) -> None:
    client = TestClient(api)

    def show() -> list[str]:
        page = client.get("/pages?limit=100").json()
        return [each["client"]["name"] for each in page["items"]]

    # The first query counts the rows.
    assert costs(show, measured) == [(2, 1, 3), (2, 0, 1)]


def test_ninja_asynchronously(api: NinjaAPI, measured: Measure) -> None:
    client = TestAsyncClient(api)

    async def ask() -> Any:
        return (await client.get("/avisits")).json()

    def show() -> list[str]:
        return [each["client"]["name"] for each in async_to_sync(ask)()]

    assert costs(show, measured) == [COLD, WARM]


@strawberry.type(name="Client")
class ClientType:
    name: str


@strawberry_django.type(Visit, name="Visit")
class VisitType:
    id: strawberry.auto
    client: Optional[ClientType] = strawberry_django.field(  # noqa: UP045 - as strawberry shows it
        prefetch_related=["client"], only=["client_id"]
    )


@strawberry.type
class Query:
    visits: list[VisitType] = strawberry_django.field()


SCHEMA = strawberry.Schema(Query, extensions=[DjangoOptimizerExtension])


@pytest.mark.parametrize(
    "execute", [SCHEMA.execute_sync, async_to_sync(SCHEMA.execute)], ids=["sync", "async"]
)
def test_strawberry_django(execute: Any, measured: Measure) -> None:
    def show() -> list[str]:
        result = execute("{ visits { id client { name } } }")
        assert result.errors is None
        return [each["client"]["name"] for each in result.data["visits"]]

    assert costs(show, measured) == [COLD, WARM]


def test_null_and_dangling_keys_are_shown(api: NinjaAPI) -> None:
    Visit.objects.all().delete()
    Visit.objects.bulk_create([Visit(), Visit(client_id=10**9)])
    expected = [None, f"Unknown Client (ID: {10**9})"]

    by_ninja = TestClient(api).get("/visits").json()
    by_strawberry = SCHEMA.execute_sync("{ visits { client { name } } }").data
    by_json = json.loads(listed(RequestFactory().get("/")).content)

    assert by_strawberry is not None
    for rows in (by_ninja, by_strawberry["visits"], by_json["visits"]):
        assert [each["client"] and each["client"]["name"] for each in rows] == expected


class ClientSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()


class VisitSerializer(serializers.ModelSerializer[Visit]):
    client = ClientSerializer()

    class Meta:
        model = Visit
        fields = ["id", "client"]


def test_a_plain_serializer(measured: Measure) -> None:
    def show() -> list[str]:
        data = VisitSerializer(Visit.objects.prefetch_related("client"), many=True).data
        return [each["client"]["name"] for each in data]

    assert costs(show, measured) == [COLD, WARM]


class VisitAdmin(ModelAdmin):  # type: ignore[type-arg]  # Django cannot be told at run time
    list_display = ["client_name", "client"]
    list_display_links = None
    ordering = ["pk"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Visit]:
        return super().get_queryset(request).prefetch_related("client")

    def client_name(self, visit: Visit) -> str:
        return "" if visit.client is None else str(visit.client.name)


def test_the_admin(measured: Measure) -> None:
    admin = VisitAdmin(Visit, AdminSite())
    request = RequestFactory().get("/")
    request.user = AnonymousUser()

    def show() -> list[str]:
        changelist = admin.get_changelist_instance(request)
        changelist.formset = None  # as the view does
        rows = list(results(changelist))
        assert "Client(key=" in rows[0][1]  # the snapshot itself, as it prints
        return [re.sub("<.*?>", "", name) for name, _ in rows]

    # Two queries count the rows.
    assert costs(show, measured) == [(3, 1, 3), (3, 0, 1)]
