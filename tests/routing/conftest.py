"""What the tests of routing share: the lab's rows in two databases."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from django.contrib.contenttypes.models import ContentType
from pytest_django import DjangoDbBlocker

from tests.integration.watching import statements
from tests.routing.data import copy_types, create_tables, fill

Sent = dict[str, list[str]]
Watch = Callable[[], AbstractContextManager[Sent]]


@pytest.fixture(scope="session")
def lab_tables(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:  # noqa: ARG001 - it makes the databases
    """The lab's tables in `events`, which the project's routers keep in `default`."""
    with django_db_blocker.unblock():
        create_tables("events")


@pytest.fixture
def lab(lab_tables: None, db: None) -> Iterator[None]:  # noqa: ARG001 - they are needed
    """The same rows in `default` and in `events`; each says where it lies."""
    copy_types("default", "events")
    fill("default")
    fill("events")
    yield
    ContentType.objects.clear_cache()


@pytest.fixture
def routed_by(settings: Any) -> Callable[..., None]:
    """Has these routers decide, and no others."""

    def route(*routers: Any) -> None:
        settings.DATABASE_ROUTERS = list(routers)

    return route


@contextmanager
def statements_by_alias() -> Iterator[Sent]:
    """The statements of the block, by alias; those without any are left out at the end."""
    sent: Sent = {}
    with statements("default") as default, statements("events") as events:
        yield sent
    sent.update({name: each for name, each in [("default", default), ("events", events)] if each})


@pytest.fixture
def watch() -> Watch:
    return statements_by_alias
