"""Lists of keys after every kind of write through Django, on every database."""

from contextlib import suppress
from typing import Any

import pytest
from django.db import transaction

from refcache import ReferenceCache
from tests.integration.every_write.scenes import REFERENCES, Stage
from tests.integration.every_write.staging import on_each, stage
from tests.integration.every_write.table import NOTHING, REFERENCE, ROW, Kind
from tests.integration.watching import in_thread

__all__ = ["stage"]

SEEN = (ROW, REFERENCE, NOTHING)


class UndoneError(Exception):
    """What a block raises to be rolled back."""


class Lists:
    """The lists that a scene's row may be in, as another process reads them."""

    def __init__(self, stage: Stage, reading: ReferenceCache) -> None:
        scene = stage.scene
        declared = REFERENCES[scene.reference]
        (self._field,) = declared["fields"]
        self._values = [each for each in (scene.before, scene.after) if each is not None]
        self._reading = reading
        for registry in (stage.watching, reading):
            registry.register(
                name="listed", using=stage.alias, where=declared["fields"], **declared
            )
        plan: Any = reading["listed"].plan
        self._rows = plan.model._base_manager.using(stage.alias).filter(**plan.origin.filter)
        self._key = plan.key_names

    def read(self) -> list[list[Any]]:
        asked: list[dict[str, Any]] = [{self._field: value} for value in self._values]
        return [self._reading["listed"].keys_where(**each) for each in asked]

    def expected(self) -> list[list[Any]]:
        flat = len(self._key) == 1
        return [
            list(
                self._rows.filter(**{self._field: value})
                .order_by(*self._key)
                .values_list(*self._key, flat=flat)
            )
            for value in self._values
        ]


@pytest.mark.parametrize(("kind", "alias"), on_each(*SEEN))
def test_lists_are_right_after_every_write(kind: Kind, stage: Stage) -> None:
    scene = stage.set(kind.arrange, is_precise=kind.is_precise)
    lists = Lists(stage, stage._reading)
    before = lists.read()
    assert before == lists.expected()

    scene.write()

    assert lists.read() == lists.expected()
    # MariaDB compares text without its case.
    is_equal = str(scene.before).lower() == str(scene.after).lower()
    assert lists.read() != before or is_equal


# The protocol is the same on every database; what differs is how a write is seen.
ON_POSTGRESQL = [each for each in on_each(*SEEN, shared=True) if "default" in each.values]


@pytest.mark.parametrize(("kind", "alias"), ON_POSTGRESQL)
def test_lists_are_right_while_others_write_and_roll_back(
    kind: Kind, alias: str, stage: Stage
) -> None:
    scene = stage.set(kind.arrange, is_precise=kind.is_precise)
    lists = Lists(stage, stage._reading)
    before = lists.read()

    with suppress(UndoneError), transaction.atomic(using=alias):
        scene.write()
        assert lists.read() == lists.expected()
        assert in_thread(lists.read) == before
        raise UndoneError

    assert in_thread(lists.read) == before == lists.expected()
