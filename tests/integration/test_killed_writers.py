"""Writers killed at each of their steps: nothing stale is left, then or later.

A step lies before and after each operation of the store, each statement and each end of a
transaction. At each of them a writer is stopped; others read; it is killed, or goes on; others
read again, at once and after its markers have expired.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import count
from typing import Any, NamedTuple

import pytest

from refcache import ReferenceCache
from refcache.connections import Place
from tests.integration.conftest import NewRegistry
from tests.integration.killed_writes import WRITES, answers, register, row, stored
from tests.integration.watching import LIMIT, statements
from tests.servers.process import wait_until
from tests.servers.redis_server import RedisServer
from tests.testapp.models import Customer

WRITE_TIMEOUT = 1.0  # seconds
MOST_STEPS = 300
MOST_LINES = 15_000


@dataclass(frozen=True, slots=True)
class Disagreement:
    """What a reader was told, and what was true; only where they differ."""

    pks: list[int]
    when: str
    told: dict[object, Any]
    true: dict[object, Any]


class Stopped(Enum):
    """Whether a writer has stopped, and whether its markers have stood so long, as promised."""

    NEVER = 0
    IN_TIME = 1
    TOO_LATE = 2


class How(NamedTuple):
    """What happens to a writer at its last step, and whether others read at those before."""

    kills: bool
    reads_before: bool


KILLED = How(kills=True, reads_before=True)
KILLED_UNSEEN = How(kills=True, reads_before=False)
OVERTAKEN = How(kills=False, reads_before=False)


class Forks:
    """The process that forks the writers."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def write(self, reader: "Reader", write: str, **order: Any) -> bool:
        """Whether the writer has stopped; else it has ended."""
        told = {
            "alias": reader.alias,
            "write": write,
            "pks": reader.pks,
            "prefix": reader.registry.runtime.prefix.decode(),
            "lines": False,
            "without": "",
            **order,
        }
        return self._say(json.dumps(told)) == "stopped"

    def go_on(self) -> bool:
        """Whether it has stopped again."""
        return self._say("go on") == "stopped"

    def kill(self) -> None:
        assert self._say("kill") == "ended"

    def _say(self, line: str) -> str:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        reply = self._process.stdout.readline().rstrip()
        assert reply in ("stopped", "ended"), reply
        return reply


class Reader:
    """Reads the rows of one step through entries of their own."""

    def __init__(self, registry: ReferenceCache, alias: str, number: int) -> None:
        register(registry, alias)
        self.registry = registry
        self.pks = pks_of(number)
        self.alias = alias

    def warm(self) -> None:
        wait_until(self.is_kept, LIMIT)

    def is_kept(self) -> bool:
        """Whether all is answered without the database the second time."""
        answers(self.registry, self.pks)
        with statements(self.alias) as sent:
            answers(self.registry, self.pks)
        return not sent

    def disagreements(self, when: str) -> list[Disagreement]:
        """At most one. What a dead writer had sent may be committed just now: then, once more."""
        while True:
            before = stored(self.alias, self.pks)
            told = answers(self.registry, self.pks)
            true = stored(self.alias, self.pks)
            if before == true:
                break
        wrong = {key for key in true if told[key] != true[key]}
        if not wrong:
            return []
        return [
            Disagreement(
                self.pks, when, {key: told[key] for key in wrong}, {k: true[k] for k in wrong}
            )
        ]


NewReader = Callable[[str, int], Reader]


@pytest.fixture
def new_reader(new_registry: NewRegistry) -> NewReader:
    """Makes readers, each with entries of its own, through one pool."""
    store = new_registry().runtime.backend.store

    def make(alias: str, number: int) -> Reader:
        prefix = new_registry.prefix + b"%d:" % number
        return Reader(ReferenceCache(Place(store, prefix)), alias, number)

    return make


@pytest.fixture(scope="module")
def forks(django_db_setup: None, redis_server: RedisServer) -> Iterator[Forks]:  # noqa: ARG001 - they run
    with subprocess.Popen(
        [sys.executable, "-m", "tests.integration.dying_writer", str(WRITE_TIMEOUT)],
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Forks(process)


def pks_of(number: int) -> list[int]:
    """Of one reader's rows: two that are there, and one that is not."""
    return [number * 10 + n for n in (1, 2, 3)]


def make_rows(alias: str, most: int = MOST_STEPS) -> None:
    """Before anybody reads: what the readers' own process writes would be marked by them all."""
    rows = [row(pk, "old") for number in range(most) for pk in pks_of(number)[:2]]
    Customer.objects.using(alias).bulk_create(rows, batch_size=500)


def stop_at_each_step(
    forks: Forks, new_reader: NewReader, how: How, alias: str, write: str, **order: Any
) -> tuple[int, list[Disagreement]]:
    """How many steps there were, and what was wrong at them."""
    found: list[Disagreement] = []
    readers: list[Reader] = []
    for number in count():
        reader = new_reader(alias, number)
        reader.warm()
        stopped, wrong = stop(forks, reader, how, write, last=len(readers), **order)
        if stopped is Stopped.TOO_LATE:
            continue
        if stopped is Stopped.NEVER:
            break
        readers.append(reader)
        found += wrong
    for reader in readers:
        # Again and again while the markers stand; then it is filled.
        wait_until(reader.is_kept, LIMIT)
        found += reader.disagreements("in the end")
    return len(readers), found


def stop(
    forks: Forks, reader: Reader, how: How, write: str, *, last: int, **order: Any
) -> tuple[Stopped, list[Disagreement]]:
    """Whether there was a step of that number, and what was wrong until after the writer's end."""
    found: list[Disagreement] = []
    first, began = 0 if how.reads_before else last, time.monotonic()
    is_stopped = forks.write(reader, write, first=first, last=last, **order)
    for _ in range(first, last):
        found += reader.disagreements("before")
        is_stopped = is_stopped and forks.go_on()
    if not is_stopped:
        return Stopped.NEVER, []
    found += reader.disagreements("stopped")
    if how.kills:
        forks.kill()
    else:
        assert not forks.go_on()
    if time.monotonic() - began > 0.9 * WRITE_TIMEOUT:
        return Stopped.TOO_LATE, []
    return Stopped.IN_TIME, found + reader.disagreements("after")


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.django_db(transaction=True)
def test_a_writer_that_is_killed_at_any_step_leaves_nothing_stale(
    forks: Forks, new_reader: NewReader, write: str
) -> None:
    make_rows("default")

    steps, found = stop_at_each_step(forks, new_reader, KILLED, "default", write)

    assert found == []
    assert steps >= 6


@pytest.mark.parametrize("write", ["save", "save_in_block", "bulk_create", "update_by_condition"])
@pytest.mark.django_db(transaction=True)
def test_a_writer_that_is_overtaken_at_any_step_leaves_nothing_stale(
    forks: Forks, new_reader: NewReader, write: str
) -> None:
    """Others read while it stands still; then it goes on."""
    make_rows("default")

    steps, found = stop_at_each_step(forks, new_reader, OVERTAKEN, "default", write)

    assert found == []
    assert steps >= 6


@pytest.mark.parametrize("write", ["save_in_block", "reference_update"])
@pytest.mark.parametrize(
    "alias",
    [
        pytest.param(alias, marks=pytest.mark.django_db(transaction=True, databases=[alias]))
        for alias in ("mariadb", "sqlite")
    ],
)
def test_so_it_is_on_other_databases(
    forks: Forks, new_reader: NewReader, alias: str, write: str
) -> None:
    make_rows(alias)

    steps, found = stop_at_each_step(forks, new_reader, KILLED, alias, write)

    assert found == []
    assert steps >= 6


@pytest.mark.parametrize("without", ["marks", "release"])
@pytest.mark.parametrize("write", ["save_in_block", "raw_sql"])
@pytest.mark.django_db(transaction=True)
def test_without_a_guard_something_stale_is_left(
    forks: Forks, new_reader: NewReader, write: str, without: str
) -> None:
    """Nothing is marked; or what is marked is released at once, before the commit."""
    make_rows("default")

    _, found = stop_at_each_step(forks, new_reader, KILLED, "default", write, without=without)

    assert {each.when for each in found} >= {"stopped", "after", "in the end"}


@pytest.mark.full
@pytest.mark.parametrize("write", ["save", "save_in_block"])
@pytest.mark.django_db(transaction=True)
def test_a_writer_that_is_killed_at_any_line_leaves_nothing_stale(
    forks: Forks, new_reader: NewReader, write: str
) -> None:
    """Of refcache and of Django's database layer."""
    make_rows("default", MOST_LINES)

    lines, found = stop_at_each_step(forks, new_reader, KILLED_UNSEEN, "default", write, lines=True)

    assert found == []
    assert lines > 500
