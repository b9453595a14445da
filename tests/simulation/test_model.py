"""Exhaustive: every interleaving of the shipped generators over the shipped rules is sound."""

from dataclasses import replace

import pytest

from refcache.core.rules import Rules
from tests.simulation.model import Model
from tests.simulation.settings import (
    FIRST,
    FULL,
    LAGGING,
    LAGGING_READER,
    LAGGING_WRITES,
    QUICK,
    Make,
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


# What is assumed, and said in docs/guards.md: that it matters is shown here.
ASSUMED: dict[str, Make] = {
    "replicas: what was just written is not evicted": lambda rules: Setting(
        [LAGGING],
        [LAGGING_READER, LAGGING_READER, LAGGING_WRITES],
        rules,
        announced=True,
        evicts_early=True,
    ),
}


@pytest.mark.parametrize("name", ASSUMED)
def test_an_assumption_is_needed(name: str) -> None:
    assert Model(ASSUMED[name](Rules())).search().schedule != []
