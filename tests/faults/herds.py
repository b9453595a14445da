"""Fifty callers in four processes ask for the same cold rows while the database is slow."""

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from tests.faults.commands import Served
from tests.faults.site import site
from tests.servers.postgres_server import PostgresServer

SIZES = (13, 13, 12, 12)  # threads
ROWS = 100
LOAD = 0.2  # seconds, for the database's answer to one statement
# Longer than a load, so that nobody loads what another one is loading.
LEASE_WAIT = 10 * LOAD


class Load(NamedTuple):
    """One statement."""

    began: float
    ended: float
    rows: int
    keys: list[int]


@dataclass(slots=True)
class HerdVerdict:
    """What came of it.

    Args:
        answered: Reads that got all rows.
        worst: Seconds of the longest.
        rows: How many the database gave, to all processes.
        loads: By process.
    """

    answered: int = 0
    worst: float = 0.0
    rows: int = 0
    loads: list[list[Load]] = field(default_factory=list)

    def slow(self, margin: float) -> list[str]:
        """Who was not answered, or waited for longer than two loads and *margin*."""
        found = []
        if self.answered != sum(SIZES):
            found.append(f"{self.answered} of {sum(SIZES)} reads got all rows")
        if self.worst > 2 * LOAD + margin:
            found.append(f"a read took {self.worst:.3f} s, two loads {2 * LOAD:g} s")
        return found

    def repeated(self) -> list[str]:
        """Whether rows were read more than once."""
        return [] if self.rows == ROWS else [f"{self.rows} rows were read, of {ROWS}"]

    def overlapping(self) -> list[str]:
        """Whether a process was loading a row twice at the same time."""
        found = sum(_overlaps(load) for load in self.loads)
        return [f"{found} loads of a row began during another"] if found else []


def _overlaps(loads: Iterable[Load]) -> int:
    by_key: dict[int, list[Load]] = {}
    for load in sorted(loads):
        for key in load.keys:
            by_key.setdefault(key, []).append(load)
    return sum(
        later.began < earlier.ended for each in by_key.values() for earlier, later in pairwise(each)
    )


def stampede(folder: Path, postgres: PostgresServer, *, has_redis: bool) -> HerdVerdict:
    """Let all threads of all processes read all rows at once, each for the first time."""
    with ExitStack() as stack:
        hurt = stack.enter_context(site(folder, postgres, rows=2 * ROWS))
        if not has_redis:
            hurt.redis.stop()
        settings = {"LEASE_WAIT": LEASE_WAIT}
        herds = [
            stack.enter_context(
                Served(
                    "herd_process",
                    hurt.project("postgres", readers=size, keys=2 * ROWS, settings=settings),
                )
            )
            for size in SIZES
        ]
        for herd in herds:
            herd.ready()
            herd.ask("warm up")
        hurt.postgres_proxy.delay(LOAD)
        for herd in herds:
            herd.tell("read")
        verdict = HerdVerdict()
        for herd in herds:
            answers, loads = herd.hear()
            _add(verdict, answers, [Load(*each) for each in loads])
        for herd in herds:
            herd.ask("end")
        return verdict


def _add(
    verdict: HerdVerdict, answers: Iterable[tuple[float, float, int]], loads: list[Load]
) -> None:
    for began, ended, found in answers:
        verdict.answered += found == ROWS
        verdict.worst = max(verdict.worst, ended - began)
    verdict.rows += sum(load.rows for load in loads)
    verdict.loads.append(loads)
