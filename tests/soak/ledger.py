"""What the processes of a run tell each other, in memory that outlives each of them."""

import json
import os
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from mmap import mmap
from pathlib import Path
from typing import Any

CELL = 8  # bytes, which are written at once


class Ledger:
    """Shared by all that are forked from whoever makes it.

    Whatever can be overwritten belongs to one process at a time, so that nothing needs a lock
    that a killed one would keep.

    Args:
        rows: How many; they are numbered from 0 on here.
        workers: How many processes run at a time, each in a place of its own.
        counted: The names of what is counted.
        folder: Of the run.
    """

    def __init__(self, rows: int, workers: int, counted: Sequence[str], folder: Path) -> None:
        self.rows = rows
        self._counted = {name: place for place, name in enumerate(counted)}
        self._width = rows + len(counted) + 1
        self._workers = workers
        cells = workers * self._width + rows + 1
        self._cells = memoryview(mmap(-1, cells * CELL)).cast("q")
        self._absences = workers * self._width
        self._over = self._absences + rows
        self._violations = folder / "violations"
        self._began = time.monotonic_ns()

    def now(self) -> int:
        """Microseconds since the run began; never twice the same to two commits of one row."""
        return (time.monotonic_ns() - self._began) // 1000 + 1

    # Commits.

    def commit(self, place: int, versions: Sequence[int]) -> None:
        """These versions, one per row, are committed: whoever begins to read now gets no older."""
        start = place * self._width
        for row, version in enumerate(versions):
            self._cells[start + row] = max(version, self._cells[start + row])

    def floors(self) -> list[int]:
        """The versions that are surely committed."""
        cells, width = self._cells, self._width
        places = range(0, self._workers * width, width)
        return [max(cells[place + row] for place in places) for row in range(self.rows)]

    def delete(self, row: int) -> None:
        """The row's only deleter is about to delete it."""
        self._cells[self._absences + row] = self.now()

    def absences(self) -> list[int]:
        """The version of each row's latest absence, be it committed or not."""
        return list(self._cells[self._absences : self._absences + self.rows])

    # What has happened.

    def count(self, place: int, name: str, number: int = 1) -> None:
        self._cells[place * self._width + self.rows + self._counted[name]] += number

    def counts(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for place in range(self._workers):
            start = place * self._width + self.rows
            for name, offset in self._counted.items():
                found[name] += self._cells[start + offset]
        return found

    def violate(self, what: str, **told: Any) -> None:
        """Note a violation."""
        told = {"what": what, "at": self.now() / 1e6, "process": os.getpid(), **told}
        with self._violations.open("a") as file:
            file.write(json.dumps(told, default=str) + "\n")

    def violations(self) -> list[dict[str, Any]]:
        if not self._violations.exists():
            return []
        return [json.loads(line) for line in self._violations.read_text().splitlines()]

    # The processes.

    def connect(self, place: int, backend: int) -> int:
        """The process in *place* is served by *backend*; gives what served the one before."""
        cell = (place + 1) * self._width - 1
        before, self._cells[cell] = self._cells[cell], backend
        return before

    def end(self) -> None:
        """Let all processes come to their ends."""
        self._cells[self._over] = 1

    @property
    def is_over(self) -> bool:
        return self._cells[self._over] == 1


def merged(seen: Iterable[dict[tuple[int, int], str]]) -> dict[tuple[int, int], set[str]]:
    """The marks that were seen per row and version; a version that was committed has one."""
    found: dict[tuple[int, int], set[str]] = {}
    for each in seen:
        for version, mark in each.items():
            found.setdefault(version, set()).add(mark)
    return found
