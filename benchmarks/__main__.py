"""`make bench`: print what reads cost, beside the bare calls.

The times are this machine's; what can be compared with another's are the ratios of one run.
"""

import argparse
import platform
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.project import project
from benchmarks.timing import Timing, measure

GOAL = 2.0  # a warm get_many of 100 keys, in bare MGETs of the same values


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=2000, help="default: %(default)s")
    rounds = parser.parse_args().rounds
    with project():
        # Models can be imported only now.
        reads = import_module("benchmarks.reads")
        reads.make_rows()
        try:
            show(rounds, reads)
        finally:
            reads.clear()


def show(rounds: int, reads: Any) -> None:
    """Measure group by group, and print a table of each."""
    console = Console(width=100)
    parser = "hiredis" if find_spec("hiredis") else "no hiredis"
    console.print(f"Python {platform.python_version()}, {parser}, medians of {rounds} rounds\n")
    bare, warm, *others = reads.warm_cases()
    pair = measure([bare, warm], rounds)
    console.print(table("100 warm keys", pair))
    ratio = pair[1].ratio(pair[0])
    verdict = "met" if ratio <= GOAL else "not met"
    console.print(f"refcache : bare MGET = {ratio:.2f} (goal: at most {GOAL}: {verdict})\n")
    console.print(table("What it is made of", measure([bare, *others, *reads.parts()], rounds)))
    console.print(table("1 warm key", measure(reads.single_cases(), rounds)))
    console.print(table("100 cold keys", measure(reads.cold_cases(), max(rounds // 10, 1))))


def table(title: str, timings: Sequence[Timing]) -> Table:
    """A row per timing; its ratio to the first is the median of the rounds' ratios."""
    made = Table(title=title, title_justify="left")
    made.add_column(min_width=48)
    for heading in ("µs, fastest", "µs, median", "ratio"):
        made.add_column(heading, justify="right")
    for timing in timings:
        ratio = timing.ratio(timings[0])
        cells = (f"{timing.fastest * 1e6:.0f}", f"{timing.median * 1e6:.0f}", f"{ratio:.2f}")
        made.add_row(timing.case.title, *cells)
    return made


if __name__ == "__main__":
    main()
