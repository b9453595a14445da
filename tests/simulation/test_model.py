"""Exhaustive: every interleaving of the shipped generators over the shipped rules is sound."""

from dataclasses import replace

import pytest

from refcache.core.pages import Mode
from refcache.core.rules import Rules
from tests.simulation.behaviours import Behaviour, everything, reader
from tests.simulation.model import Model
from tests.simulation.settings import (
    FIRST,
    FULL,
    GRACE,
    LAGGING,
    LAGGING_READER,
    LAGGING_WRITES,
    NEW_LAGGING,
    QUICK,
    Make,
    lagging_writes,
    replicas,
)
from tests.simulation.states import Setting


def search(name: str, setting: Setting) -> None:
    found = Model(setting).search()
    print(f"{name}: {found.states} states")  # noqa: T201 - pytest -rP shows it
    assert found.schedule == [], "\n".join(found.schedule)


@pytest.mark.parametrize("name", QUICK)
def test_every_reader_is_given_a_committed_row(name: str) -> None:
    search(name, QUICK[name](Rules()))


@pytest.mark.full
@pytest.mark.parametrize("name", FULL)
def test_every_reader_is_given_a_committed_row_in_larger_settings(name: str) -> None:
    search(name, FULL[name](Rules()))


@pytest.mark.parametrize("name", ["readers look twice", "two schemas, 1 writer"])
def test_joining_histories_loses_no_state(name: str) -> None:
    setting = QUICK[name](Rules())
    if name == "readers look twice":
        setting = replace(setting, tasks=[setting.tasks[0], FIRST])

    assert Model(setting).reached() == Model(replace(setting, merge=False)).reached()


LAGGING_REFRESHER = Behaviour(reader(LAGGING, Mode.REFRESH))
# Row tombstones alone do not guard these, so no reference may fill from a replica as yet: `grace`
# cannot be declared. What closes a gap moves it to the settings that are sound.
GAPS: dict[str, Make] = {
    "replicas, a schema announced after a write": lambda rules: Setting(
        [LAGGING], [LAGGING_READER, LAGGING_WRITES], rules
    ),
    "replicas, a second schema": lambda rules: Setting(
        [LAGGING, NEW_LAGGING],
        [LAGGING_READER, Behaviour(reader(NEW_LAGGING)), LAGGING_WRITES],
        rules,
    ),
    "replicas, a bulk write": replicas(LAGGING_READER, lagging_writes(1, everything(GRACE))),
    "replicas, a refresh within grace": replicas(LAGGING_READER, LAGGING_REFRESHER, LAGGING_WRITES),
    "replicas, an eviction within grace": lambda rules: Setting(
        [LAGGING],
        [LAGGING_READER, LAGGING_READER, LAGGING_WRITES],
        rules,
        announced=True,
        values_lapse_early=True,
    ),
}


@pytest.mark.parametrize("name", GAPS)
def test_filling_from_replicas_is_not_ready(name: str) -> None:
    assert Model(GAPS[name](Rules())).search().schedule != []
