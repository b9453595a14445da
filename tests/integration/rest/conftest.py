"""What the tests of the REST framework adapter share: a cold cache, orders, and costs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import redis
from pytest_django import Settings
from rest_framework.test import APIClient

from refcache import references
from tests.integration.watching import redis_commands, statements
from tests.restapp.models import Buyer, Firm, Gadget, Line, Order, Part, Shop, Spot

REFERENCES = ("buyer", "account", "gadget", "spot", "by-serial", "represented", "range")
PREFIX = b"test:1:"


@dataclass
class Cost:
    """What a block asked of database A (events), of database B, and of Redis."""

    to_a: list[str] = field(default_factory=list)
    to_b: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)

    @property
    def counts(self) -> tuple[int, int, int]:
        return len(self.to_a), len(self.to_b), len(self.commands)


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
    # What was written before Redis was started; while any of it waits, the database is read.
    assert references.recovery.retry()
    for name in REFERENCES:
        references[name].invalidate_all()


@pytest.fixture
def measured(client: redis.Redis) -> Callable[[], Any]:
    """Measures what a block costs."""

    @contextmanager
    def measure() -> Iterator[Cost]:
        cost = Cost()
        with (
            redis_commands(client, PREFIX) as commands,
            statements("events") as to_a,
            statements("default") as to_b,
        ):
            yield cost
        cost.to_a, cost.to_b, cost.commands = to_a, to_b, commands

    return measure


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
