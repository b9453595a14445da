"""What the tests of `ReferenceTo` share: a cold cache, visits, and what a block costs."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

import pytest
import redis

from refcache import references
from tests.integration.conftest import client, scripts  # noqa: F401 - fixtures
from tests.integration.watching import redis_commands, statements
from tests.relations.models import Client, Machine, Place, Visit

REFERENCES = ("client", "machine", "place", "client-or-none")
PREFIX = b"test:1:"


@dataclass
class Cost:
    """What a block asked of database A (visits), of database B, and of Redis."""

    to_a: list[str] = field(default_factory=list)
    to_b: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)

    @property
    def counts(self) -> tuple[int, int, int]:
        return len(self.to_a), len(self.to_b), len(self.commands)


Measure = Callable[[], AbstractContextManager[Cost]]


@pytest.fixture(autouse=True)
def cold(transactional_db: None, scripts: None) -> None:  # noqa: ARG001, F811 - they are needed
    """Nothing is cached, and every script is at the server."""
    # What was written before Redis was started; while any of it waits, the database is read.
    assert references.recovery.retry()
    for name in REFERENCES:
        references[name].invalidate_all()


@pytest.fixture
def measured(client: redis.Redis) -> Measure:  # noqa: F811 - the fixture
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
