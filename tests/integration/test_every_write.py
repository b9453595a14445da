"""Every write through Django is seen by the next read, on every database: see docs/writes.md."""

from contextlib import suppress

import pytest
import redis
from django.db import transaction

from tests.integration.conftest import NewRegistry
from tests.integration.every_write.scenes import Stage
from tests.integration.every_write.staging import on_each, stage
from tests.integration.every_write.table import NOTHING, REFERENCE, ROW, Kind
from tests.integration.watching import in_thread, redis_commands

__all__ = ["stage"]

SEEN = (ROW, REFERENCE, NOTHING)


class UndoneError(Exception):
    """What a block raises to be rolled back."""


@pytest.mark.parametrize(("kind", "alias"), on_each(*SEEN))
def test_the_next_read_has_what_was_written(kind: Kind, alias: str, stage: Stage) -> None:
    scene = stage.set(kind.arrange, is_precise=kind.is_precise)

    scene.write()

    assert stage.dropped() == kind.expected(alias)
    assert stage.read() == scene.after


@pytest.mark.parametrize(("kind", "alias"), on_each(*SEEN, shared=True))
def test_others_read_the_old_value_until_the_commit(kind: Kind, alias: str, stage: Stage) -> None:
    scene = stage.set(kind.arrange, is_precise=kind.is_precise)

    with transaction.atomic(using=alias):
        scene.write()
        assert stage.read() == scene.after
        assert in_thread(stage.read) == scene.before
        assert in_thread(stage.read) == scene.before

    assert in_thread(stage.dropped) == kind.expected(alias)
    assert in_thread(stage.read) == scene.after


@pytest.mark.parametrize(("kind", "alias"), on_each(*SEEN, shared=True))
def test_what_was_rolled_back_is_never_read(kind: Kind, alias: str, stage: Stage) -> None:
    scene = stage.set(kind.arrange, is_precise=kind.is_precise)

    with suppress(UndoneError), transaction.atomic(using=alias):
        scene.write()
        raise UndoneError

    assert in_thread(stage.read) == scene.before
    stage.watching.invalidation.release_dropped()
    in_thread(stage.warm)


@pytest.mark.parametrize(("kind", "alias"), on_each(NOTHING))
def test_a_write_that_changes_no_snapshot_costs_no_store_operation(
    kind: Kind,
    stage: Stage,
    client: redis.Redis,
    new_registry: NewRegistry,
) -> None:
    scene = stage.set(kind.arrange, is_precise=kind.is_precise)

    with redis_commands(client, new_registry.prefix) as commands:
        scene.write()

    assert commands == []
