"""The tables of docs/patterns.md name tests and lines that there are, and leave none out."""

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from refcache.advice import Facts, advise
from tests.integration.patterns.shop import Cost
from tests.integration.patterns.test_costs import COSTS, Costs
from tests.integration.patterns.test_decisions import SHOWS_A_WRITE

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "patterns.md"
HEAD = ("pattern", "rows", "freshness", "writes", "memory", "operations", "test", "benchmark line")
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)(?:\[([\w-]+)\])?`")


class Row(NamedTuple):
    """One pattern."""

    pattern: str
    rows: str
    freshness: str
    writes: str
    memory: str
    operations: str
    test: str
    line: str


def table(heading: str) -> list[tuple[str, ...]]:
    """The cells of the table under a heading, its own heading first."""
    text = PAGE.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]
    return [cells[0], *cells[2:]]


def figures() -> dict[str, tuple[str, ...]]:
    """The measured cells, by benchmark line."""
    return {line.strip("`"): rest for line, *rest in table("The figures")[1:]}  # type: ignore[misc]  # a star makes a list


HEADINGS, *DECISIONS = table("The decision table")
ROWS = [Row(*each) for each in DECISIONS]
each_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.pattern)


def test_the_columns_are_what_a_decision_needs() -> None:
    assert HEADINGS == HEAD


def test_every_pattern_of_the_example_has_a_row() -> None:
    assert sorted(row.line.strip("`") for row in ROWS) == sorted(COSTS)


@each_row
def test_no_cell_is_empty(row: Row) -> None:
    assert all(row)


@each_row
def test_the_test_exists(row: Row) -> None:
    assert TEST.fullmatch(row.test)


def test_all_tests_that_the_page_names_exist() -> None:
    named = TEST.findall(PAGE.read_text())

    assert len(named) > len(ROWS)
    for file, name, parameter in named:
        assert re.search(rf"^def {name}\(", (ROOT / file).read_text(), re.MULTILINE), name
        assert not parameter or parameter in {**COSTS, **SHOWS_A_WRITE}, parameter


@each_row
def test_the_benchmark_line_exists_and_counts_as_the_tests_do(row: Row) -> None:
    cold, warm, *_ = figures()[row.line.strip("`")]

    told = Costs(*(Cost(*map(int, each.split(", "))) for each in (cold, warm)))
    assert told == COSTS[row.line.strip("`")]


@each_row
def test_what_is_late_is_said_to_be(row: Row) -> None:
    shows = SHOWS_A_WRITE.get(row.line.strip("`"), True)

    assert ("late" in row.freshness.split(";")[0]) is not shows


@pytest.mark.parametrize("rows", [10, 100_000])
@pytest.mark.parametrize("referrers", [frozenset[str](), frozenset({"events"})])
def test_what_is_advised_has_a_row(rows: int, referrers: frozenset[str]) -> None:
    facts = Facts(
        "customer", "default", rows, None, 300, None, ("tier",), referrers, frozenset({"a", "b"})
    )

    assert {f"`{each}`" for each in advise(facts).patterns} <= {row.line for row in ROWS}
