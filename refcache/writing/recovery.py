"""Releases that the store could not be told: repeated in the background until it can."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from refcache.core.exceptions import StoreUnavailable
from refcache.core.writes import Touched
from refcache.processes import after_fork, at_exit

RETRY_AFTER = 0.25  # seconds; meanwhile this process's reads go to the database
# Entries; beyond it, all of a reference are dropped in the place of its single ones.
LONGEST = 10_000
TOGETHER = 500  # entries of one attempt

Release = Callable[[bytes, Sequence[Touched]], None]
Name = tuple[bytes, bytes]


class Waiting(NamedTuple):
    """The last action on one entry, or on all of a reference."""

    token: bytes
    touched: Touched
    since: float


class Recovery:
    """A bounded queue of releases, with a thread of its own while there is something in it.

    Args:
        release: Tells the store; raises `StoreUnavailable`.
    """

    def __init__(self, release: Release) -> None:
        self.retry_after = RETRY_AFTER
        self._release = release
        self._waiting: dict[Name, Waiting] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        at_exit(self._end)
        after_fork(self._forget_parent)

    def __len__(self) -> int:
        """How many entries wait; all of a reference count as one."""
        return len(self._waiting)

    @property
    def age(self) -> float:
        """For how many seconds the oldest has waited; 0 where none does."""
        with self._lock:
            oldest = min((each.since for each in self._waiting.values()), default=None)
        return 0.0 if oldest is None else time.monotonic() - oldest

    def add(self, token: bytes, touched: Sequence[Touched]) -> None:
        """Release *touched* as soon as the store can be reached."""
        now = time.monotonic()
        with self._lock:
            for each in touched:
                for name, single in _singles(each):
                    before = self._waiting.get(name)
                    since = now if before is None else before.since
                    self._waiting[name] = Waiting(token, single, since)
            while len(self._waiting) > LONGEST:
                self._summarise()
            if self._thread is None and self._waiting:
                self._start()

    def _start(self) -> None:
        thread = threading.Thread(target=self._work, name="refcache-recovery", daemon=True)
        with suppress(RuntimeError):  # There is no room for one; the next to come tries again.
            thread.start()
            self._thread = thread

    def retry(self) -> bool:
        """Release what waits, as far as the store can be told.

        Returns:
            Whether nothing waits any more.
        """
        while batch := self._batch():
            token = next(iter(batch.values())).token
            try:
                self._release(token, [each.touched for each in batch.values()])
            except StoreUnavailable:
                return False
            with self._lock:
                for name, done in batch.items():
                    if self._waiting.get(name) is done:  # Else another write waits by now.
                        del self._waiting[name]
        return True

    def _batch(self) -> dict[Name, Waiting]:
        """The oldest that share a token."""
        with self._lock:
            batch: dict[Name, Waiting] = {}
            for name, each in self._waiting.items():
                if not batch or each.token == next(iter(batch.values())).token:
                    batch[name] = each
                if len(batch) == TOGETHER:
                    break
            return batch

    def _work(self) -> None:
        while True:
            time.sleep(self.retry_after)
            self.retry()
            with self._lock:
                if not self._waiting:
                    self._thread = None
                    return

    def _summarise(self) -> None:
        """Drop all of the reference that has the most entries here."""
        counts = Counter(epoch_key for epoch_key, _ in self._waiting)
        longest, _ = counts.most_common(1)[0]
        names = [name for name in self._waiting if name[0] == longest]
        found = [self._waiting.pop(name) for name in names]
        whole = found[-1].touched._replace(texts=(), whole=True)
        since = min(each.since for each in found)
        self._waiting[longest, b""] = Waiting(found[-1].token, whole, since)

    def _end(self) -> None:
        self.retry()

    def _forget_parent(self) -> None:
        """After a fork: what waited is the parent's to release, and its thread is not here."""
        self._waiting, self._thread, self._lock = {}, None, threading.Lock()


def _singles(touched: Touched) -> list[tuple[Name, Touched]]:
    epoch_key = touched.family.epoch_key
    bare = touched._replace(texts=(), rows=(), whole=False)
    found = [((epoch_key, text), bare._replace(texts=(text,))) for text in touched.texts]
    if touched.whole:
        found.append(((epoch_key, b""), bare._replace(whole=True)))
    return found
