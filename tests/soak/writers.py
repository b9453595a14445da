"""A writer: single writes, transactions, rollbacks; it may be killed at any time."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from random import Random
from signal import SIGKILL

from django.db import DatabaseError, connection, transaction
from django.db.backends.utils import CursorWrapper

from refcache import references
from tests.soak.ledger import Ledger
from tests.soak.project import WRITE_TIMEOUT
from tests.soak.rows import backend_id, is_private, is_served, observe, owner_of, stored
from tests.soak.ways import BY_CONDITION, BY_KEYS, OF_OWN, TOLD, WAYS, Ways, lock

PAUSE = 0.01  # seconds between writes, on average: entries shall be filled, too
DEATHS = 0.02  # of the transactions
LONGEST_BLOCK = 0.3  # seconds, after which nothing is added to a transaction
OTHER_COUNTS = (
    "in a transaction",
    "begun by hand",
    "rolled back",
    "savepoints rolled back",
    "own reads",
    "died at the commit",
    "failed",
    "took too long",
)
COUNTED = (*WAYS, *OTHER_COUNTS)


class Undone(Exception):
    """What a block is left with to be rolled back."""


class Writer:
    """Writes until the run is over.

    Args:
        place: Its column in the ledger, and its number among the writers.
        writers: How many.
    """

    def __init__(self, ledger: Ledger, random: Random, place: int, writers: int) -> None:
        self._ledger = ledger
        self._random = random
        self._place = place
        self._writers = writers
        self._ways = Ways(ledger, random, writers)
        pks = range(ledger.rows)
        self._own = [pk for pk in pks if owner_of(pk, writers) == place]
        self._private = [pk for pk in self._own if is_private(pk)]
        self._writable = [pk for pk in pks if pk in self._private or not is_private(pk)]
        born = ledger.now()
        self._marks = (f"{place}-{born}-{number}" for number in count())

    def run(self) -> None:
        before = self._ledger.connect(self._place, backend_id())
        while is_served(before):
            time.sleep(0.01)
        while not self._ledger.is_over:
            self._count_long(self._write)
            time.sleep(self._random.expovariate(1 / PAUSE))

    def _write(self) -> None:
        chance = self._random.random()
        try:
            if chance < 0.02:
                self._begin_by_hand()
            elif chance < 0.5:
                self._write_alone()
            else:
                self._write_block()
        except DatabaseError:  # A deadlock, a lock that took too long, a row that has gone.
            self._ledger.count(self._place, "failed")

    def _write_alone(self) -> None:
        """In autocommit, as far as the way does."""
        self._apply(next(self._marks))
        self._ledger.commit(self._place, observe(self._ledger))

    def _write_block(self) -> None:
        is_lost = self._random.random() < 0.3
        mark = self._mark(is_lost=is_lost)
        with suppress(Undone):
            with transaction.atomic():
                if self._random.random() < DEATHS:
                    transaction.on_commit(self._die)
                self._fill_block(mark)
                committed = observe(self._ledger)
                if is_lost:
                    self._roll_back()
            if not is_lost:
                self._ledger.commit(self._place, committed)
                self._ledger.count(self._place, "in a transaction")
                return
        self._ledger.count(self._place, "rolled back")

    def _die(self) -> None:
        """Between the commit and its release, where a kill at random seldom strikes."""
        self._ledger.count(self._place, "died at the commit")
        os.kill(os.getpid(), SIGKILL)

    def _fill_block(self, mark: str) -> None:
        if connection.vendor == "sqlite":
            lock()
        end = time.monotonic() + LONGEST_BLOCK
        for _ in range(self._random.randint(1, 3)):
            if self._random.random() < 0.3:
                self._undo_savepoint()
            self._apply(mark)
            if self._random.random() < 0.3:
                self._read_own(mark)
            if time.monotonic() > end:
                return

    def _undo_savepoint(self) -> None:
        with suppress(Undone), transaction.atomic():
            self._apply(self._mark(is_lost=True))
            self._ledger.count(self._place, "savepoints rolled back")
            raise Undone

    def _roll_back(self) -> None:
        if self._random.random() < 0.5:
            transaction.set_rollback(True)
            return
        raise Undone

    def _begin_by_hand(self) -> None:
        """A transaction that Django does not know of: its markers expire.

        Nothing of Django's that begins one is used in it: MariaDB would commit this one then.
        """
        is_lost = self._random.random() < 0.3
        with connection.cursor() as cursor:
            cursor.execute("BEGIN")
            with _ended(cursor, is_lost=is_lost):
                self._ways.raw(self._some(self._writable), self._mark(is_lost=is_lost))
        self._ledger.commit(self._place, observe(self._ledger))
        self._ledger.count(self._place, "begun by hand")

    def _apply(self, mark: str) -> None:
        way, pks = self._choose()
        if pks:
            WAYS[way](self._ways, pks, mark)
            self._ledger.count(self._place, way)

    def _choose(self) -> tuple[str, Sequence[int]]:
        # A condition drops all entries, and its killed writer keeps all out for a while.
        kind = self._random.choices([BY_KEYS, BY_CONDITION, OF_OWN], [30, 1, 9])[0]
        way = self._random.choice(list(kind))
        if kind is OF_OWN:
            return way, self._some(self._own)
        is_locked = connection.in_atomic_block
        return way, self._some(self._private if way in TOLD and not is_locked else self._writable)

    def _some(self, pks: Sequence[int]) -> list[int]:
        return sorted(self._random.sample(pks, min(len(pks), self._random.choice([1, 1, 1, 2, 4]))))

    def _read_own(self, mark: str) -> None:
        """What this transaction has written, it sees."""
        mine = {pk: row for pk, row in stored().items() if row[1] == mark}
        found = references["row"].get_many(mine)
        read = {pk: (row["version"], row["mark"]) for pk, row in found.items()}
        self._ledger.count(self._place, "own reads")
        if read != mine:
            self._ledger.violate("own writes", written=mine, read=read)

    def _mark(self, *, is_lost: bool) -> str:
        return f"lost-{next(self._marks)}" if is_lost else next(self._marks)

    def _count_long(self, write: Callable[[], None]) -> None:
        began = time.monotonic()
        write()
        if time.monotonic() - began > WRITE_TIMEOUT / 2:
            self._ledger.count(self._place, "took too long")


@contextmanager
def _ended(cursor: CursorWrapper, *, is_lost: bool) -> Iterator[None]:
    try:
        yield
    except DatabaseError:
        cursor.execute("ROLLBACK")
        raise
    cursor.execute("ROLLBACK" if is_lost else "COMMIT")
