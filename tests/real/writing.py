"""What writers have in common: their rows, their versions, and when they end."""

import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from types import FrameType

from tests.real.ledger import Ledger

PAUSE = 0.05  # seconds between writes, on average: entries shall be filled, too
MOST = 3  # rows at a time

Write = Callable[[dict[int, int]], bool]


class Rows:
    """A writer's rows, which nobody else writes."""

    def __init__(self, arguments: Sequence[str]) -> None:
        file, seed, rows = arguments
        pks = [int(pk) for pk in rows.split(",")]
        self._ledger = Ledger(Path(file), pks)
        self._random = Random(seed)  # noqa: S311 - it must be repeatable
        self._is_over = False
        signal.signal(signal.SIGTERM, self._end)

    def write_until_told(self, ways: Sequence[Write]) -> None:
        """Write in one way or another, until SIGTERM.

        Args:
            ways: Each is given {primary key: version}, and says whether that is committed.
        """
        sys.stdout.write("Writing.\n")
        sys.stdout.flush()
        while not self._is_over:
            pks = sorted(self._random.sample(self._ledger.rows, self._random.randint(1, MOST)))
            versions = {pk: self._ledger.latest(pk, time.monotonic_ns()) + 1 for pk in pks}
            if self._random.choice(ways)(versions):
                for pk, version in versions.items():
                    self._ledger.commit(pk, version)
            time.sleep(self._random.expovariate(1 / PAUSE))

    def _end(self, _signal: int, _frame: FrameType | None) -> None:
        self._is_over = True
