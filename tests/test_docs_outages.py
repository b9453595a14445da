"""The table of docs/outages.md names tests and events that there are, and leaves nothing out."""

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from refcache import references
from refcache.core import events

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "outages.md"
HEAD = ("what breaks", "what callers get", "what is logged and counted", "how to see it", "test")


class Row(NamedTuple):
    """One thing that breaks."""

    what: str
    callers: str
    told: str
    seen: str
    test: str


def rows() -> list[Row]:
    table = PAGE.read_text().split("\n## The table\n")[1].split("\n## ")[0]
    lines = [line for line in table.splitlines() if line.startswith("|")]
    cells = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]
    assert cells[0] == HEAD
    return [Row(*each) for each in cells[2:]]


ROWS = rows()
each_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.what)


def test_nothing_is_told_twice() -> None:
    assert len({row.what for row in ROWS}) == len(ROWS)


@each_row
def test_no_cell_is_empty(row: Row) -> None:
    assert all(row)


@each_row
def test_the_test_exists(row: Row) -> None:
    # In brackets is what it shows, where that is a part only.
    named = re.fullmatch(r"`(tests/[\w/]+\.py)::(test_\w+)`(?: \([^()]+\))?", row.test)
    assert named
    file = ROOT / named[1]

    assert file.exists()
    assert re.search(rf"^(async )?def {named[2]}\(", file.read_text(), re.MULTILINE)


@each_row
def test_events_exist_and_those_in_bold_are_logged(row: Row) -> None:
    # In brackets is the error of redis-py that the event's reason names.
    told = re.sub(r"\(`\w+`\)", "", row.told)
    logged = set(re.findall(r"\*\*`(\w+)`\*\*", told))
    counted = set(re.findall(r"`(\w+)`", told))

    for name in counted:
        kind = getattr(events, name)
        assert issubclass(kind, events.Event)
        assert (name in logged) == issubclass(kind, events.TROUBLES)


@each_row
def test_attributes_of_the_registry_exist(row: Row) -> None:
    assert set(re.findall(r"references\.(\w+)", row.seen)) <= set(dir(references))
