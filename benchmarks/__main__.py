"""`make bench`: print what reads cost, beside the bare calls.

The times are this machine's; what can be compared with another's are the ratios of one run.
"""

import argparse
import platform
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from django.db import connection
from rich.console import Console
from rich.table import Table

from benchmarks import patterns
from benchmarks.project import project
from benchmarks.timing import Timing, measure

LAG_GOAL = 0.020  # seconds, on an idle machine
LOOK_GOAL = 2e-6  # seconds, on top of each SELECT
GOAL = 2.0  # a warm get_many of 100 keys, in bare MGETs of the same values


def main() -> None:
    if sys.argv[1:2] == ["patterns"]:
        patterns.main(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=2000, help="default: %(default)s")
    rounds = parser.parse_args().rounds
    with project():
        # Models can be imported only now.
        reads = import_module("benchmarks.reads")
        reads.make_rows()
        try:
            show(rounds, reads)
            show_writes(rounds, import_module("benchmarks.writes"))
            show_lag(max(rounds // 4, 1), import_module("benchmarks.relay_lag"))
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


def show_writes(rounds: int, writes: Any) -> None:
    """Measure the look at each statement, and what a save costs."""
    console = Console(width=100)
    bare, looked = measure(writes.look_cases(), max(rounds // 10, 1))
    look = (looked.fastest - bare.fastest) / writes.MANY
    verdict = "met" if look < LOOK_GOAL else "not met"
    console.print(
        f"look at a SELECT: {look * 1e6:.2f} µs (goal: below {LOOK_GOAL * 1e6:.0f} µs: {verdict})\n"
    )
    console.print(table("1 row saved", measure(writes.save_cases(), max(rounds // 4, 1))))
    writes.clear()


def show_lag(rounds: int, relay_lag: Any) -> None:
    """Measure and print how soon another program's commits are seen, where there is PostgreSQL."""
    console = Console(width=100)
    if connection.vendor != "postgresql":
        console.print("The relay's lag is measured on PostgreSQL only.")
        return
    timing = relay_lag.measure_lag(rounds)
    lag = timing.median
    verdict = "met" if lag < LAG_GOAL else "not met"
    console.print(
        f"relay: lag from another program's commit to a read that has it, {rounds} commits: "
        f"median {lag * 1000:.1f} ms, p99 {relay_lag.p99(timing) * 1000:.1f} ms "
        f"(goal: median below {LAG_GOAL * 1000:.0f} ms: {verdict})",
        soft_wrap=True,
    )


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
