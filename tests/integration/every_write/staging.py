"""Cells of the table as parameters of tests, and the stage that they are played on."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import router

from tests.integration.conftest import NewRegistry
from tests.integration.every_write import beyond, saves
from tests.integration.every_write.models import HAS_DATABASE_CASCADE
from tests.integration.every_write.scenes import Router, Stage
from tests.integration.every_write.table import Kind, cells

NEED_DATABASE_CASCADE = (saves.database_cascade, beyond.other_cascades)


def on_each(*expected: str, shared: bool = False) -> list[Any]:
    """Return those cells as (kind, alias); each needs no server but its own.

    `shared`: only where others can read while the transaction is under way.
    """
    return [
        pytest.param(
            kind,
            alias,
            id=f"{kind.title}-{alias}",
            marks=[
                pytest.mark.django_db(transaction=True, databases=[alias]),
                pytest.mark.skipif(is_missing(kind), reason="DB_CASCADE needs Django 6.1"),
            ],
        )
        for kind, alias in cells(*expected)
        if not (shared and alias in kind.alone)
    ]


def is_missing(kind: Kind) -> bool:
    return kind.arrange in NEED_DATABASE_CASCADE and not HAS_DATABASE_CASCADE


@pytest.fixture
def stage(
    alias: str, new_registry: NewRegistry, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stage]:
    """Where *alias* is the only database there is."""
    monkeypatch.setattr(router, "routers", [Router(alias)])
    watching, reading = new_registry(), new_registry()
    monkeypatch.setattr(reading, "_connect", lambda _: None)
    stage = Stage(alias, watching, reading)
    with stage.writer.lasting:
        yield stage
