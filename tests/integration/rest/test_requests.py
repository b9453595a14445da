"""Requests through views: writes, the browsable API, OPTIONS, pagination, transactions."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connections
from django.db.models.signals import pre_save
from pytest_django import Settings
from rest_framework.test import APIClient

from refcache import references
from tests.restapp.models import Buyer, Firm, Order

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "events"])

NO_SUCH_ID = 10**9
VIEWS = ("plain", "gathering")
HTML = {"accept": "text/html"}


@pytest.fixture
def atomic_requests() -> Iterator[None]:
    for alias in ("default", "events"):
        connections[alias].settings_dict["ATOMIC_REQUESTS"] = True
    yield
    for alias in ("default", "events"):
        connections[alias].settings_dict["ATOMIC_REQUESTS"] = False


@pytest.mark.parametrize("view", VIEWS)
def test_post_shows_the_row_that_the_new_key_refers_to(
    orders: list[Order], api: APIClient, view: str
) -> None:
    response = api.post(f"/{view}/", {"buyer_id": orders[1].buyer_id}, format="json")

    assert (response.status_code, response.json()["buyer_name"]) == (201, "b1")


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("method", ["put", "patch"])
def test_a_changed_key_shows_another_row(
    orders: list[Order], api: APIClient, view: str, method: str
) -> None:
    send = getattr(api, method)
    path = f"/{view}/{orders[0].pk}/"

    response = send(path, {"buyer_id": orders[1].buyer_id}, format="json")

    assert (response.status_code, response.json()["buyer_name"]) == (200, "b1")
    assert api.get(path).json()["buyer"] == {"name": "b1", "tier": "basic"}


@pytest.mark.parametrize("view", VIEWS)
def test_a_key_may_become_null_or_that_of_a_missing_row(
    orders: list[Order], api: APIClient, view: str
) -> None:
    path = f"/{view}/{orders[0].pk}/"

    null = api.patch(path, {"buyer_id": None}, format="json").json()
    missing = api.patch(path, {"buyer_id": NO_SUCH_ID}, format="json").json()

    assert (null["buyer"], null["buyer_name"]) == (None, None)
    assert missing["buyer_name"] == f"Unknown Buyer (ID: {NO_SUCH_ID})"


@pytest.mark.parametrize("view", VIEWS)
def test_delete_works(orders: list[Order], api: APIClient, view: str) -> None:
    path = f"/{view}/{orders[0].pk}/"

    assert api.delete(path).status_code == 204
    assert api.get(path).status_code == 404


@pytest.mark.parametrize("view", VIEWS)
def test_what_is_sent_for_a_reference_is_ignored(
    orders: list[Order], api: APIClient, view: str
) -> None:
    sent = {"buyer_name": "Mallory", "buyer": {"name": "Mallory"}}

    response = api.patch(f"/{view}/{orders[0].pk}/", sent, format="json")

    assert response.json()["buyer_name"] == "b0"
    assert not Buyer.objects.filter(name="Mallory").exists()


@pytest.mark.parametrize("view", VIEWS)
def test_errors_of_a_request_are_told_as_ever(api: APIClient, view: str) -> None:
    response = api.post(f"/{view}/", {"buyer_id": "abc"}, format="json")

    assert (response.status_code, list(response.json())) == (400, ["buyer_id"])


@pytest.mark.parametrize("view", VIEWS)
def test_a_list_in_the_browsable_api_is_one_load_for_each_reference(
    orders: list[Order], api: APIClient, view: str, measured: Any
) -> None:
    with measured() as cost:
        page = api.get(f"/{view}/", headers=HTML).content.decode()

    assert all(f"&quot;buyer_name&quot;: &quot;b{n}&quot;" in page for n in range(len(orders)))
    assert len(cost.to_b) == 2


@pytest.mark.parametrize("view", VIEWS)
def test_an_object_in_the_browsable_api_is_one_load_for_each_reference(
    orders: list[Order], api: APIClient, view: str, measured: Any
) -> None:
    with measured() as cost:
        page = api.get(f"/{view}/{orders[0].pk}/", headers=HTML).content.decode()

    assert "&quot;buyer_name&quot;: &quot;b0&quot;" in page
    assert len(cost.to_b) == 2
    if view == "gathering":  # All its serializers share what the first of them found.
        assert cost.commands == ["MGET", "claim", "fill"]


@pytest.mark.parametrize("view", VIEWS)
def test_a_rejected_form_is_shown_with_its_errors(
    orders: list[Order], api: APIClient, view: str
) -> None:
    for send, path in ((api.post, f"/{view}/"), (api.put, f"/{view}/{orders[0].pk}/")):
        response = send(path, {"buyer_id": "abc"}, headers=HTML)

        assert response.status_code == 400
        page = response.content.decode()
        # In the answer, and in the form.
        assert len(re.findall(r"A valid \w+ is required", page)) == 2
        assert 'value="abc"' in page


@pytest.mark.parametrize("view", VIEWS)
def test_a_form_that_is_accepted_is_shown(orders: list[Order], api: APIClient, view: str) -> None:
    response = api.post(f"/{view}/", {"buyer_id": orders[0].buyer_id}, headers=HTML)

    assert response.status_code == 201
    assert "&quot;buyer_name&quot;: &quot;b0&quot;" in response.content.decode()


@pytest.mark.parametrize("view", VIEWS)
def test_options_describe_a_reference_as_read_only(
    orders: list[Order], api: APIClient, view: str, measured: Any
) -> None:
    with measured() as cost:
        described = api.options(f"/{view}/{orders[0].pk}/").json()["actions"]["PUT"]

    assert described["buyer_name"]["read_only"] is True
    assert cost.counts[1:] == (0, 0)


@pytest.mark.parametrize("view", ["page", "offset", "cursor"])
def test_pages_of_any_kind_are_one_load(
    orders: list[Order], api: APIClient, view: str, measured: Any
) -> None:
    with measured() as cost:
        found = api.get(f"/{view}/").json()["results"]

    assert [row["buyer_name"] for row in found] == ["b0", "b1", "b2"]
    assert len(found) == len(orders)
    assert cost.counts[1:] == (2, 3)


@pytest.mark.usefixtures("atomic_requests")
@pytest.mark.parametrize("view", VIEWS)
def test_atomic_requests_show_their_own_change(
    orders: list[Order], api: APIClient, view: str
) -> None:
    path = f"/{view}/{orders[0].pk}/"

    shown = api.patch(path, {"buyer_id": orders[1].buyer_id}, format="json").json()

    assert shown["buyer_name"] == "b1"
    assert api.get(path).json()["buyer_name"] == "b1"


@pytest.mark.usefixtures("atomic_requests")
def test_atomic_requests_that_only_read_fill_as_others_do(
    orders: list[Order], api: APIClient, measured: Any
) -> None:
    assert len(api.get("/plain/").json()) == len(orders)

    with measured() as cost:
        assert len(api.get("/plain/").json()) == len(orders)

    assert [sql for sql in cost.to_b if "restapp" in sql] == []
    assert cost.commands == ["MGET"]


@contextmanager
def also_writing() -> Iterator[None]:
    """With an order, something is written to the database that is referred to."""

    def write(**_: Any) -> None:
        Firm.objects.create(name="as well")

    pre_save.connect(write, sender=Order)
    try:
        yield
    finally:
        pre_save.disconnect(write, sender=Order)


@pytest.mark.usefixtures("atomic_requests")
def test_atomic_requests_that_have_written_read_what_is_cached_and_add_nothing(
    orders: list[Order], api: APIClient, measured: Any
) -> None:
    references["buyer"].get_many([order.buyer_id for order in orders])
    path = f"/plain/{orders[0].pk}/"

    with measured() as cost, also_writing():
        assert api.patch(path, {"buyer_id": orders[1].buyer_id}, format="json").status_code == 200

    assert [sql for sql in cost.to_b if "restapp_buyer" in sql] == []
    assert "fill" not in cost.commands


@pytest.mark.parametrize("view", VIEWS)
def test_answers_are_json_of_plain_values(orders: list[Order], api: APIClient, view: str) -> None:
    response = api.get(f"/{view}/{orders[0].pk}/")

    assert json.loads(response.content)["buyer"] == {"name": "b0", "tier": "basic"}
    assert type(response.data["buyer"]) is dict


@pytest.mark.usefixtures("orders")
def test_a_write_is_on_the_next_page(api: APIClient, settings: Settings) -> None:
    settings.DEBUG = True
    api.get("/plain/")
    buyer = Buyer.objects.get(name="b0")

    buyer.name = "Renamed"
    buyer.save()

    assert api.get("/plain/").json()[0]["buyer_name"] == "Renamed"
