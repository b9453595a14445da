"""What the batch endpoint promises to caches: entity tags, lifetimes, and for whom."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from pytest_django import Settings
from rest_framework.permissions import AllowAny
from rest_framework.renderers import BrowsableAPIRenderer, JSONRenderer
from rest_framework.test import APIRequestFactory

from refcache import Staleness
from refcache.rest_framework import ReferenceView
from tests.integration.rest.test_staleness import (  # noqa: F401 - fixtures
    Age,
    Declare,
    age,
    database,
    declare,
)
from tests.restapp.models import Buyer, Order
from tests.servers.redis_server import RedisServer

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "events"])

NO_SUCH_ID = 10**9
SLACK = 5  # seconds, for a loaded machine
DECLARED = "private, max-age=300, stale-while-revalidate=60, stale-if-error=3600"

Ask = Callable[..., Any]


@pytest.fixture
def ask(settings: Settings, declare: Declare) -> Ask:  # noqa: F811 - the fixture
    """Asks a view of its own for keys of "person": `ttl` 300, windows of 60 and 3600."""
    settings.REFCACHE = {
        **settings.REFCACHE,
        "EXECUTOR": "tests.integration.rest.test_staleness.refresh_elsewhere",
        "JITTER": 0,
        "EARLY_REFRESH": 0,
        "BREAKER_FAILURES": 1,
        "BREAKER_PAUSE": 60,
    }
    declare(staleness=Staleness(while_revalidate=60, if_error=3600))

    def send(
        *keys: object, headers: dict[str, str] | None = None, name: str = "person", **view: Any
    ) -> Any:
        defaults = {
            "references": {name: "__all__"},
            "permission_classes": [AllowAny],
            "authentication_classes": [],
            "renderer_classes": [JSONRenderer],
        }
        data = {"keys": ",".join(map(str, keys))} if keys else {}
        request = APIRequestFactory().get("/", data, headers=headers)
        return ReferenceView.as_view(**defaults | view)(request, name=name).render()

    return send


@pytest.fixture
def keys(orders: list[Order]) -> list[int | None]:
    return [order.buyer_id for order in orders]


def lifetime(response: Any) -> str:
    found = response.headers["Cache-Control"]
    assert isinstance(found, str)
    return found


def max_age(response: Any) -> int:
    found = re.search(r"max-age=(\d+)", lifetime(response))
    assert found is not None
    return int(found[1])


# Entity tags


def test_who_has_the_answer_is_told_so_without_a_body(ask: Ask, keys: list[int]) -> None:
    tag = ask(*keys).headers["ETag"]

    for said in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = ask(*keys, headers={"if-none-match": said})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["ETag"] == tag
        assert lifetime(again).startswith("private, max-age=")
        assert again.headers["Vary"] == "Cookie, Authorization"


def test_the_tag_is_strong_and_the_same_for_the_same_bytes(ask: Ask, keys: list[int]) -> None:
    first, second = ask(*keys), ask(*keys)

    assert first.headers["ETag"].startswith('"')
    assert first.content == second.content
    assert first.headers["ETag"] == second.headers["ETag"]


@pytest.mark.parametrize("change", [{"name": "new"}, {"tier": "gold"}, {"is_active": False}])
def test_the_tag_differs_when_a_value_that_is_shown_does(
    ask: Ask, keys: list[int], change: dict[str, Any]
) -> None:
    tag = ask(*keys).headers["ETag"]

    Buyer.objects.filter(pk=keys[-1]).update(**change)

    again = ask(*keys, headers={"if-none-match": tag})
    assert again.status_code == (304 if "is_active" in change else 200)


def test_the_tag_differs_when_a_row_is_gone(ask: Ask, keys: list[int]) -> None:
    tag = ask(*keys).headers["ETag"]

    Buyer.objects.filter(pk=keys[0]).delete()

    assert ask(*keys, headers={"if-none-match": tag}).status_code == 200


def test_an_answer_that_is_known_costs_one_round_trip(
    ask: Ask, keys: list[int], measured: Any
) -> None:
    tag = ask(*keys).headers["ETag"]

    with measured() as cost:
        ask(*keys, headers={"if-none-match": tag})

    assert cost.counts == (0, 0, 1)


def test_an_error_has_no_tag_and_matches_none(ask: Ask) -> None:
    response = ask(headers={"if-none-match": "*"})

    assert response.status_code == 400
    assert "ETag" not in response.headers


# Lifetimes


def test_the_lifetime_is_the_declared_one(ask: Ask, keys: list[int]) -> None:
    response = ask(*keys)

    assert lifetime(response) == DECLARED
    assert "Age" not in response.headers  # Caches would take it off once more.


def test_what_was_loaded_before_has_lived_for_a_while(
    ask: Ask,
    keys: list[int],
    age: Age,  # noqa: F811 - the fixture, here and below
) -> None:
    ask(*keys)
    age(100)

    assert max_age(ask(*keys)) == pytest.approx(200, abs=SLACK)


def test_the_oldest_row_counts(ask: Ask, keys: list[int], age: Age) -> None:  # noqa: F811
    ask(keys[0])
    age(250)

    assert max_age(ask(*keys)) == pytest.approx(50, abs=SLACK)


def test_an_absent_row_is_remembered_for_less(
    ask: Ask,
    keys: list[int],
    age: Age,  # noqa: F811
) -> None:
    assert lifetime(ask(*keys, NO_SUCH_ID)).startswith("private, max-age=30,")

    age(20)

    assert max_age(ask(*keys, NO_SUCH_ID)) == pytest.approx(10, abs=SLACK)
    assert max_age(ask(*keys)) == pytest.approx(280, abs=SLACK)


def test_an_absence_that_is_not_remembered_is_not_kept(
    ask: Ask,
    declare: Declare,  # noqa: F811
) -> None:
    declare(name="forgetful", negative_ttl=0)

    assert lifetime(ask(NO_SUCH_ID, name="forgetful")) == "private, no-cache"


def test_an_old_answer_is_told_and_kept_by_nobody_unasked(
    ask: Ask,
    keys: list[int],
    age: Age,  # noqa: F811
) -> None:
    fresh = ask(*keys)
    age(310)

    old = ask(*keys)

    assert old.data["stale"] == [str(key) for key in keys]
    assert old.data["found"] == fresh.data["found"]
    assert lifetime(old) == "private, no-cache"
    assert old.headers["ETag"] != fresh.headers["ETag"]


def test_a_copy_of_an_outage_is_kept_by_nobody_unasked(
    ask: Ask, keys: list[int], redis_server: RedisServer
) -> None:
    redis_server.stop()
    ask(*keys)  # It opens the breaker, and keeps what it loads.

    copied = ask(*keys)

    assert copied.data["stale"] == [str(key) for key in keys]
    assert lifetime(copied) == "private, no-cache"


def test_an_answer_with_a_failure_is_not_stored(
    ask: Ask,
    keys: list[int],
    declare: Declare,  # noqa: F811
    database: Any,  # noqa: F811
) -> None:
    declare(name="lenient", on_error="omit")
    database.stop()

    response = ask(keys[0], name="lenient", headers={"if-none-match": "*"})

    assert (response.status_code, response.data["failed"]) == (200, [str(keys[0])])
    assert lifetime(response) == "no-store"
    assert "ETag" not in response.headers


def test_errors_are_not_stored(ask: Ask, keys: list[int], database: Any) -> None:  # noqa: F811
    refused, bad = ask(*keys, permission_classes=[]), ask()
    elsewhere = ask(*keys, references={"gadget": "__all__"})
    database.stop()
    down = ask(*keys)

    found = [refused, bad, elsewhere, down]
    assert [each.status_code for each in found] == [403, 400, 404, 503]
    assert {lifetime(each) for each in found} == {"no-store"}


# What a view says otherwise


def test_a_view_may_say_for_how_long(ask: Ask, keys: list[int], age: Age) -> None:  # noqa: F811
    asked_each_time, longer = ask(*keys, max_age=0), ask(*keys, max_age=900)
    age(100)

    assert lifetime(asked_each_time) == "private, no-cache"
    assert lifetime(longer).startswith("private, max-age=900,")
    assert lifetime(ask(*keys, max_age=10)).startswith("private, max-age=10,")


def test_a_public_answer_depends_on_nobody(ask: Ask, keys: list[int]) -> None:
    response = ask(*keys, is_public=True)

    assert lifetime(response) == DECLARED.replace("private", "public")
    assert "Vary" not in response.headers


def test_a_private_answer_depends_on_who_asks_and_on_the_form(ask: Ask, keys: list[int]) -> None:
    both = ask(*keys, renderer_classes=[JSONRenderer, BrowsableAPIRenderer])

    assert both.headers["Vary"] == "Cookie, Authorization, Accept"
