"""Lists of orders, filtered by their buyers' fields: the counts and the rows are right."""

from random import Random
from typing import Any

import pytest
import redis
from pytest_django import Settings
from rest_framework.test import APIClient

from refcache import references
from refcache.contrib.django_filter import ReferenceFilter
from tests.integration.costs import PREFIX
from tests.integration.watching import redis_commands, statements
from tests.restapp.models import Buyer, Firm, Order

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "events"])

TIERS = ["basic", "gold"]
BUYERS = 7
ORDERS = 45


@pytest.fixture(autouse=True)
def shop(settings: Settings, project: None) -> list[Buyer]:  # noqa: ARG001 - set before
    settings.ROOT_URLCONF = "tests.restapp.filtered"
    references["listed"].invalidate_all()
    firm = Firm.objects.create(name="Acme Ltd")
    buyers = [
        Buyer.objects.create(name=f"b{place}", tier=TIERS[place % 2], firm=firm if place else None)
        for place in range(BUYERS)
    ]
    keys = [buyer.pk for buyer in buyers]
    Order.objects.bulk_create(Order(buyer_id=keys[place % BUYERS]) for place in range(ORDERS))
    return buyers


def test_a_lookup_belongs_to_the_condition() -> None:
    with pytest.raises(TypeError, match='the lookup in where, as in where="tier__in"'):
        ReferenceFilter("listed", key="buyer_id", where="tier", lookup_expr="in")


@pytest.fixture
def api() -> APIClient:
    return APIClient()


def listed(api: APIClient, **query: Any) -> tuple[int, list[int]]:
    """The count that the first page tells, and the rows of all pages."""
    found: list[int] = []
    page: dict[str, Any] = {"next": "/filtered/", "count": 0}
    first = True
    while page["next"]:
        page = api.get(page["next"], query if first else {}).json()
        first = False
        found += [row["id"] for row in page["results"]]
    return page["count"], found


def expected(*buyers: Buyer) -> tuple[int, list[int]]:
    keys = {buyer.pk for buyer in buyers}
    rows = [o.pk for o in Order.objects.order_by("pk") if o.buyer_id in keys]
    return len(rows), rows


def test_pages_and_count_are_those_of_the_filtered_rows(api: APIClient, shop: list[Buyer]) -> None:
    assert listed(api, tier="gold") == expected(*shop[1::2])
    assert listed(api, not_tier="gold") == expected(*shop[0::2])
    assert listed(api, firm="acme") == expected(*shop[1:])
    assert listed(api, tiers=["basic", "gold"]) == expected(*shop)
    assert listed(api, tier="none") == (0, [])
    assert listed(api, tier="") == expected(*shop)


def test_they_are_after_every_write(api: APIClient, shop: list[Buyer]) -> None:
    random = Random(5)  # noqa: S311 - it must be repeatable
    for _ in range(30):
        buyer = random.choice(shop)
        buyer.tier, buyer.is_active = random.choice(TIERS), random.random() < 0.8
        if random.random() < 0.5:
            buyer.save()
        else:
            Buyer.objects.filter(pk=buyer.pk).update(tier=buyer.tier, is_active=buyer.is_active)

        gold = [each for each in shop if each.is_active and each.tier == "gold"]
        assert listed(api, tier="gold") == expected(*gold)


def test_a_warm_filter_costs_no_query_to_the_references_database(
    api: APIClient, client: redis.Redis
) -> None:
    api.get("/filtered/", {"tier": "gold"})

    with (
        statements("events") as to_a,
        statements("default") as to_b,
        redis_commands(client, PREFIX) as commands,
    ):
        api.get("/filtered/", {"tier": "gold"})

    assert (len(to_a), len(to_b)) == (2, 0)  # the count and the page
    assert commands == ["MGET", "MGET"]  # the list, and the page's references
