"""What the outbox's tests share: a registry whose tables have triggers, and its relay."""

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from django.db import connections

from refcache import ReferenceCache
from refcache.core.events import Relayed
from refcache.outbox.models import Change
from refcache.outbox.relay import Relay
from refcache.outbox.triggers import install, uninstall
from refcache.outbox.waking import Stop
from tests.integration.conftest import client, new_registry, registry, scripts

__all__ = ["client", "new_registry", "registry", "scripts"]


@pytest.fixture
def stop() -> Iterator[Stop]:
    with closing(Stop()) as stop:
        yield stop


@pytest.fixture
def no_triggers(transactional_db: None) -> Iterator[Callable[[str], None]]:  # noqa: ARG001 - goes first
    """Names databases that are to be left without triggers and changes."""
    aliases: set[str] = set()
    yield aliases.add
    for alias in aliases:
        uninstall(alias)
        Change.objects.using(alias).all().delete()


@pytest.fixture
def watched(no_triggers: Callable[[str], None]) -> Callable[..., None]:
    """Makes triggers for the tables of a registry, and empties the outbox."""

    def watch(registry: ReferenceCache, alias: str = "default", *, notify: bool = True) -> None:
        no_triggers(alias)
        install(alias, registry.tables(alias), notify=notify)
        Change.objects.using(alias).all().delete()

    return watch


@pytest.fixture
def relay(stop: Stop) -> Callable[..., int]:
    """Drains an outbox; gives how many changes there were."""

    def drain(registry: ReferenceCache, alias: str = "default") -> int:
        return Relay(alias, registry, stop, ignore).drain()

    return drain


def ignore(_: Relayed) -> None:
    """For a relay that nobody listens to."""


def run_sql(alias: str, *statements: str) -> None:
    """Statements as another program sends them, each committed: Django does not see them."""
    connection = connections[alias]
    with connection.wrap_database_errors, closing(driver_connection(alias)) as raw:
        cursor = raw.cursor()
        for each in statements:
            cursor.execute(each)


def driver_connection(alias: str) -> Any:
    """The driver's own, in autocommit."""
    connection: Any = connections[alias]
    raw = connection.get_new_connection(connection.get_connection_params())
    if connection.vendor == "mysql":
        raw.autocommit(True)  # noqa: FBT003 - it takes no keyword
    elif connection.vendor == "sqlite":
        raw.isolation_level = None
    else:
        raw.autocommit = True
    return raw
