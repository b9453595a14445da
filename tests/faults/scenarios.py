"""One fault: what is hurt, what is declared for it, and how it is played."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.faults.commands import Served
from tests.faults.judging import Allowance, Commit, Read, Verdict, compare, feel, judge
from tests.faults.limits import TIMEOUT
from tests.faults.site import Site, site
from tests.servers.postgres_server import PostgresServer

KEYS = 40
# For reads after the end of a fault, when everything has been released.
AFTERWARDS = 0.4  # seconds

Fault = Callable[[Site], AbstractContextManager[object]]


def nothing(_: Site) -> None:
    """For a fault that needs no preparation."""


def always(_: Site) -> bool:
    """For a fault that the processes feel."""
    return True


@dataclass(frozen=True, slots=True)
class Scenario:
    """A fault, and what is promised while it lasts.

    Args:
        fault: Lasts as long as its block.
        allowance: Of the policy; `since` and `until` are filled in where *queues*.
        felt: Names of events, and of what else is counted (feeling.py): one of them at least has
            to be while the fault lasts.
        is_seen: Asked at the end of a fault that no event tells of: whether it was one.
        queues: Writers may be unable to tell Redis, so that their releases wait until it is over.
        prepare: Done before, while there are reads and writes.
        writes: Whether rows are written while the fault lasts.
        proxied: "redis" or "postgres", which is reached through its proxy; or nothing.
        settings: Of `REFCACHE`.
        reference: Of the reference, with `staleness` as a dictionary.
        readers: Threads of one process, and coroutines of another.
    """

    name: str
    fault: Fault
    allowance: Allowance = field(default_factory=lambda: Allowance(bound=TIMEOUT))
    felt: tuple[str, ...] = ()
    is_seen: Callable[[Site], bool] = always
    queues: bool = False
    prepare: Callable[[Site], None] = nothing
    writes: bool = True
    proxied: str = ""
    sentinels: bool = False
    replica: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    reference: Mapping[str, Any] = field(default_factory=dict)
    readers: int = 4


def play(
    scenario: Scenario, folder: Path, postgres: PostgresServer, *, seconds: float, seed: int
) -> Verdict:
    """Let processes read and write before, while and after the fault lasts *seconds*."""
    with ExitStack() as stack:
        hurt = stack.enter_context(
            site(
                folder, postgres, rows=KEYS, sentinels=scenario.sentinels, replica=scenario.replica
            )
        )
        told = {
            "settings": dict(scenario.settings),
            "reference": dict(scenario.reference),
            "readers": scenario.readers,
            "keys": KEYS,
        }
        threads = hurt.project(scenario.proxied, seed=seed, **told)
        projects = (threads, replace(threads, awaits=True, seed=seed + 1))
        readers = [stack.enter_context(Served("reading_process", each)) for each in projects]
        writer = stack.enter_context(Served("writing_process", threads))
        return _Play(scenario, hurt, readers, writer).run(seconds)


@dataclass(frozen=True, slots=True)
class _Play:
    scenario: Scenario
    site: Site
    readers: Sequence[Served]
    writer: Served

    def run(self, seconds: float) -> Verdict:
        everybody = (*self.readers, self.writer)
        for each in everybody:
            each.ready()
        # What is made on the first use takes its time; callers of a running process have it.
        for command in ("page", "begin"):
            for each in everybody:
                each.ask(command)
        self.site.wait_for_writes()
        self.scenario.prepare(self.site)
        if not self.scenario.writes:
            self._rest()
        since, before = time.monotonic(), self._counts()
        with self.scenario.fault(self.site):
            time.sleep(seconds)  # What is seen in that time is the result.
            is_seen = self.scenario.is_seen(self.site)
        until, after = self._end_fault(), self._counts()
        commits, errors = self.writer.ask("rest")
        self.writer.ask("settle")
        verdict = judge(
            self._reads(), (Commit(*each) for each in commits), self._allowance(since, until)
        )
        for error in errors:
            verdict.add_error(error)
        feel(verdict, self.scenario.felt, before, after)
        if not is_seen:
            verdict.unfelt = "the servers are as they were"
        stored = self.site.stored()
        for each in everybody:
            compare(verdict, each.ask("page"), stored)
        return verdict

    def _rest(self) -> None:
        """Stop writing; then everything is stored that can be."""
        self.writer.ask("rest")
        for each in self.readers:
            each.ask("page")

    def _counts(self) -> list[dict[str, int]]:
        return [each.ask("counts") for each in (*self.readers, self.writer)]

    def _end_fault(self) -> float:
        if not self.scenario.writes:
            self.writer.ask("begin")
        until = float(self.writer.ask("settle"))
        self.site.wait_for_writes()
        time.sleep(AFTERWARDS)
        return until

    def _reads(self) -> list[Read]:
        for each in self.readers:
            each.tell("end")
        return [Read(*read) for each in self.readers for read in each.hear()]

    def _allowance(self, since: float, until: float) -> Allowance:
        allowance = self.scenario.allowance
        return replace(allowance, since=since, until=until) if self.scenario.queues else allowance
