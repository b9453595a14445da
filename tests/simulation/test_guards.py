"""Taking out any one guard of the protocol is noticed; docs/guards.md is the table of them."""

from importlib import import_module
from operator import attrgetter
from pathlib import Path

import pytest

from refcache.core.rules import Rules
from tests.simulation.guards import GUARDS, Find, Guard

PAGE = Path(__file__).parents[2] / "docs" / "guards.md"
# The settings of the search, and the seeds, are tested with all guards in their own tests.
SCENARIOS = sorted(
    {
        guard.found_by
        for guard in GUARDS.values()
        if guard.found_by.__module__.endswith("scenarios")
    },
    key=attrgetter("__name__"),
)


def table() -> list[list[str]]:
    """The cells of the page's table, without its head."""
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in rows if row[0] not in ("guard", "---")]


@pytest.mark.parametrize("guard", GUARDS.values(), ids=GUARDS.keys())
def test_a_missing_guard_is_noticed(guard: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    if guard.replaces:
        monkeypatch.setattr(guard.replaces, guard.by)

    assert guard.found_by(guard.rules())


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[each.__name__ for each in SCENARIOS])
def test_nothing_is_missed_where_all_guards_stand(scenario: Find) -> None:
    assert scenario(Rules()) == []


def test_the_table_names_every_guard() -> None:
    assert [row[0] for row in table()] == list(GUARDS)


@pytest.mark.parametrize("row", table(), ids=lambda row: row[0])
def test_the_table_names_functions_that_exist(row: list[str]) -> None:
    module, _, name = row[1].strip("`").partition(":")

    assert callable(attrgetter(name)(import_module(f"refcache.core.{module}")))
