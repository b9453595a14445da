"""When each version of each written row was committed, in a file that all processes map."""

import re
import time
from collections.abc import Sequence
from mmap import mmap
from pathlib import Path

CELL = 8  # bytes, which are written at once
VERSIONS = 1 << 14  # of a row; more than a writer makes in an hour
VERSION = re.compile(r".* version (\d+)( lost)?")


class Ledger:
    """Each row has one writer, so nothing needs a lock.

    Args:
        file: Is made by the first who opens it.
        rows: The primary keys; the same for all.
    """

    def __init__(self, file: Path, rows: Sequence[int]) -> None:
        self.rows = list(rows)
        self._places = {pk: place * VERSIONS for place, pk in enumerate(rows)}
        size = len(rows) * VERSIONS * CELL
        with file.open("a+b") as opened:
            opened.truncate(size)
            self._cells = memoryview(mmap(opened.fileno(), size)).cast("q")

    def __contains__(self, pk: int) -> bool:
        return pk in self._places

    def commit(self, pk: int, version: int) -> None:
        """It is committed: whoever begins to read now gets none that is older."""
        place = self._places[pk]
        self._cells[place + version] = time.monotonic_ns()
        self._cells[place] = version

    def latest(self, pk: int, at_ns: int) -> int:
        """The version that was surely committed by then; 0: the row as it was made."""
        version = self._cells[self._places[pk]]
        while version and self.committed_at(pk, version) > at_ns:
            version -= 1
        return version

    def committed_at(self, pk: int, version: int) -> int:
        """Nanoseconds of the machine's monotonic clock, which all processes share."""
        return self._cells[self._places[pk] + version]

    def commits(self) -> int:
        """How many there were, of all rows."""
        return sum(self._cells[place] for place in self._places.values())


def name_of(pk: int, version: int, *, lost: bool = False) -> str:
    """What a writer calls its row; what is lost is rolled back."""
    return f"Customer {pk} version {version}" + (" lost" if lost else "")


def read_name(name: str) -> tuple[int, bool] | None:
    """The version, and whether nobody should ever see it; None: no writer's name."""
    found = VERSION.fullmatch(name)
    return (int(found[1]), found[2] is not None) if found else None
