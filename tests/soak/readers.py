"""Readers, who hold each answer against what was committed before they asked."""

import asyncio
import pickle
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

from asgiref.sync import sync_to_async
from django.db import DatabaseError, connection, connections, transaction

from refcache import references
from refcache.core.events import Event, RowsLoaded
from tests.soak.ledger import Ledger
from tests.soak.rows import code_of, is_private, observe, stored

LISTED = 0.3  # of all reads
PAUSE = 0.002  # seconds between reads, on average
COUNTED = (
    "reads", "rows", "lists", "loaded", "absent", "in transactions", "awaited", "unanswered",
)  # fmt: skip

Seen = dict[tuple[int, int], str]
Found = dict[int, Any]


class Reader:
    """Reads until the run is over.

    Args:
        place: Its column in the ledger.
    """

    def __init__(self, ledger: Ledger, random: Random, place: int) -> None:
        self._ledger = ledger
        self._random = random
        self._place = place
        self._seen: Seen = {}
        self._loop = asyncio.Runner()
        self._ways: list[Callable[[Sequence[int]], Found]] = [
            self._get, self._get_many, self._look_up, self._by_code, self._both, self._await,
        ]  # fmt: skip

    def run(self, report: Path) -> None:
        """Leaves in *report* which mark it has seen with which version of which row."""
        references.subscribe(self._count_loaded)
        with self._loop:
            while not self._ledger.is_over:
                self._read()
                time.sleep(self._random.expovariate(1 / PAUSE))
            self._loop.run(sync_to_async(connections.close_all)())
        report.write_bytes(pickle.dumps(self._seen))

    def _read(self) -> None:
        if self._random.random() >= 0.2:
            self._read_once(self._ledger.floors())
            return
        floors = self._ledger.floors()
        try:
            with transaction.atomic():
                for _ in range(self._random.randint(1, 3)):
                    # SQLite shows a transaction all the time what it has seen first.
                    is_fixed = connection.vendor == "sqlite"
                    self._read_once(floors if is_fixed else self._ledger.floors())
        except DatabaseError:
            self._ledger.count(self._place, "unanswered")
        self._ledger.count(self._place, "in transactions")

    def _read_once(self, floors: Sequence[int]) -> None:
        pks = self._random.sample(range(self._ledger.rows), self._random.choice([1, 3, 10]))
        if self._random.random() < LISTED:
            self._list(pks, floors)
            return
        way, began = self._random.choice(self._ways), self._ledger.now()
        found = way(pks)
        self._ledger.count(self._place, "reads")
        for pk in pks[: 1 if way == self._get else None]:
            self._ledger.count(self._place, "rows")
            trouble = self._trouble(pk, found.get(pk), floors[pk])
            if trouble:
                self._tell(trouble, pk, found.get(pk), floors[pk], way.__name__, began)

    def _list(self, pks: Sequence[int], floors: Sequence[int]) -> None:
        """What has reached a version is in the list of those from it on, and no more before it.

        The lists of the next version are asked for too, so that they are old when it is reached.
        """
        began, row = self._ledger.now(), references["row"]
        first = floors[next((pk for pk in pks if not is_private(pk)), pks[0])]
        since, before = row.keys_where(version__gte=first), row.keys_where(version__lt=first)
        row.keys_where(version__gte=first + 1)
        row.keys_where(version__lt=first + 1)
        self._ledger.count(self._place, "lists", 4)
        for pk in pks:
            if floors[pk] < first:
                continue
            if pk not in since and self._ledger.absences()[pk] < floors[pk]:
                self._tell("stale list", pk, None, floors[pk], "version__gte", began)
            if pk in before:
                self._tell("stale list", pk, None, floors[pk], "version__lt", began)

    def _trouble(self, pk: int, row: Any, floor: int) -> str | None:
        if not row:  # None, or a placeholder
            self._ledger.count(self._place, "absent")
            return "stale absence" if self._ledger.absences()[pk] < floor else None
        version, mark = row["version"], row["mark"]
        self._seen.setdefault((pk, version), mark)
        if mark.startswith("lost") or self._seen[pk, version] != mark:
            return "uncommitted value"
        if version > self._ledger.now():
            return "unknown value"
        return "stale value" if version < floor else None

    def _tell(self, trouble: str, pk: int, row: Any, floor: int, way: str, began: int) -> None:
        told = (row["version"], row["mark"]) if row else None
        seconds = began / 1e6
        self._ledger.violate(
            trouble, row=pk, read=told, committed=floor, stored=stored().get(pk), way=way,
            began=seconds, in_transaction=connection.in_atomic_block,
        )  # fmt: skip

    def _count_loaded(self, event: Event) -> None:
        if isinstance(event, RowsLoaded) and event.reference == "row":
            self._ledger.count(self._place, "loaded", event.keys)

    # The ways to read.

    def _get(self, pks: Sequence[int]) -> Found:
        return {pks[0]: references["row"].get(pks[0])}

    def _get_many(self, pks: Sequence[int]) -> Found:
        return dict(references["row"].get_many(pks))  # type: ignore[arg-type]  # keys are of any type

    def _look_up(self, pks: Sequence[int]) -> Found:
        return dict(references["row"].lookup(pks))  # type: ignore[arg-type]  # as above

    def _by_code(self, pks: Sequence[int]) -> Found:
        found = references["coded"].get_many([code_of(pk) for pk in pks])
        return {pk: found.get(code_of(pk)) for pk in pks}

    def _both(self, pks: Sequence[int]) -> Found:
        codes = [code_of(pk) for pk in pks]
        found = references.lookup({"row": pks, "coded": codes})
        by_code = {pk: found["coded"][code_of(pk)] for pk in pks}
        return {pk: self._random.choice([found["row"][pk], by_code[pk]]) for pk in pks}

    def _await(self, pks: Sequence[int]) -> Found:
        if connection.in_atomic_block:  # It would read on a connection of another thread.
            return self._get_many(pks)
        self._ledger.count(self._place, "awaited")
        return dict(self._loop.run(references["row"].aget_many(pks)))  # type: ignore[arg-type]  # as above


def watch(ledger: Ledger, place: int) -> None:
    """See commits in the database itself, those of killed writers too, until the run is over."""
    while not ledger.is_over:
        ledger.commit(place, observe(ledger))
        time.sleep(0.001)
