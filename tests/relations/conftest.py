"""What the tests of `ReferenceTo` share: a cold cache, visits, and what a block costs."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial

import pytest
import redis

from refcache import references
from tests.integration.conftest import client, scripts  # noqa: F401 - fixtures
from tests.integration.costs import Cost, forget, measuring
from tests.relations.models import Client, Machine, Place, Visit

REFERENCES = ("client", "machine", "place", "client-or-none")


Measure = Callable[[], AbstractContextManager[Cost]]


@pytest.fixture(autouse=True)
def cold(transactional_db: None, scripts: None) -> None:  # noqa: ARG001, F811 - they are needed
    """Nothing is cached, and every script is at the server."""
    forget(REFERENCES)


@pytest.fixture
def measured(client: redis.Redis) -> Measure:  # noqa: F811 - the fixture
    """Measures what a block costs."""
    return partial(measuring, client)


@pytest.fixture
def broken() -> Iterator[str]:
    """The name of a reference that cannot work, for one test."""
    references.register("relations.Client", ["nope"], name="broken")
    yield "broken"
    del references._declared._declarations["broken"]
    references._declared.forget_plans()


@pytest.fixture
def page() -> list[Visit]:
    """A hundred, each with a client, a machine and a place of its own."""
    return make_visits(100)


def make_visits(count: int) -> list[Visit]:
    clients = Client.objects.bulk_create(Client(name=f"c{n}") for n in range(count))
    machines = Machine.objects.bulk_create(Machine(serial=f"m{n}") for n in range(count))
    Place.objects.bulk_create(Place(site="x", number=n, label=f"p{n}") for n in range(count))
    return Visit.objects.bulk_create(
        Visit(client_id=buyer.pk, machine_id=machine.pk, site="x", number=n)
        for n, (buyer, machine) in enumerate(zip(clients, machines, strict=True))
    )


def warm() -> None:
    for name in REFERENCES:
        references[name].warm()
