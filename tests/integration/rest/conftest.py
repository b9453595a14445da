"""What the tests of the REST framework adapter share: a cold cache, orders, and costs."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import redis
from pytest_django import Settings
from rest_framework.test import APIClient

from tests.integration.costs import forget, measuring
from tests.restapp.models import Buyer, Firm, Gadget, Line, Order, Part, Shop, Spot

REFERENCES = ("buyer", "account", "gadget", "spot", "by-serial", "represented", "range")


Measure = Callable[[], Any]


@pytest.fixture(autouse=True)
def project(settings: Settings) -> None:
    settings.ROOT_URLCONF = "tests.restapp.urls"
    settings.TEMPLATES = [
        {"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}
    ]
    settings.STATIC_URL = "/static/"
    settings.REST_FRAMEWORK = {
        "DEFAULT_AUTHENTICATION_CLASSES": [],
        "UNAUTHENTICATED_USER": None,
    }


@pytest.fixture(autouse=True)
def cold(transactional_db: None, scripts: None) -> None:  # noqa: ARG001 - they are needed
    """Nothing is cached, and every script is at the server."""
    forget(REFERENCES)


@pytest.fixture
def measured(client: redis.Redis) -> Callable[[], Any]:
    """Measures what a block costs."""
    return partial(measuring, client)


@pytest.fixture
def api() -> APIClient:
    return APIClient()


@pytest.fixture
def orders() -> list[Order]:
    """Three of them, each with a buyer and a gadget of its own, a shop, two lines, two parts."""
    return make_orders(3)


def make_orders(count: int) -> list[Order]:
    firm = Firm.objects.create(name="ACME")
    buyers = Buyer.objects.bulk_create(Buyer(name=f"b{n}", firm=firm) for n in range(count))
    gadgets = Gadget.objects.bulk_create(Gadget(serial=f"g{n}") for n in range(count))
    Spot.objects.bulk_create(Spot(site="x", number=n, label=f"s{n}") for n in range(count))
    shops = Shop.objects.bulk_create(
        Shop(name=f"shop{n}", gadget_id=gadgets[-1 - n].pk) for n in range(count)
    )
    orders = Order.objects.bulk_create(
        Order(buyer_id=buyer.pk, gadget_id=gadget.pk, serial=gadget.serial, shop=shop)
        for buyer, gadget, shop in zip(buyers, gadgets, shops, strict=True)
    )
    lines = Line.objects.bulk_create(
        Line(order=order, gadget_id=gadgets[n - turn].pk)
        for n, order in enumerate(orders)
        for turn in (0, 1)
    )
    Part.objects.bulk_create(
        Part(line=line, site="x", number=(n + turn) % count)
        for n, line in enumerate(lines)
        for turn in (0, 1)
    )
    return orders
