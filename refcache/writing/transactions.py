"""When a write is over: what was marked is released on commit, and on rollback where one can tell.

Django calls `on_commit` hooks after the commit and drops them in silence after a rollback. So the
hook is an object with a finalizer: dropped unused, it queues its release, and whoever uses
refcache next performs it.
"""

import sys
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from weakref import WeakKeyDictionary, finalize, ref

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from refcache.core.writes import Touched

Release = Callable[[bytes, Sequence[Touched]], None]
Dropped = deque[tuple[bytes, list[Touched]]]

# What cannot be released for long is forgotten from the oldest on; its markers have expired.
LONGEST_QUEUE = 10_000


class Ending:
    """The end of one level of a transaction: the hook that releases what was marked in it."""

    def __init__(self, token: bytes, release: Release, dropped: Dropped) -> None:
        self.token = token
        self.touched: list[Touched] = []
        self._known: set[tuple[str, bytes]] = set()
        self._release = release
        self._finalizer = finalize(self, _queue, dropped, token, self.touched)
        self._finalizer.atexit = False

    def add(self, touched: Iterable[Touched]) -> list[Touched]:
        """What of *touched* was not marked at this level as yet; it is now to be."""
        new = [each for each in (self._unknown(each) for each in touched) if each is not None]
        self.touched += new
        return new

    def _unknown(self, touched: Touched) -> Touched | None:
        name = touched.family.reference
        if touched.whole:
            return touched
        texts = tuple(text for text in touched.texts if (name, text) not in self._known)
        self._known.update((name, text) for text in texts)
        return touched._replace(texts=texts) if texts else None

    def __call__(self) -> None:
        self._finalizer.detach()
        self._release(self.token, self.touched)


class Transactions:
    """The endings under way, per connection and savepoint level."""

    def __init__(self, new_token: Callable[[], bytes], release: Release) -> None:
        self.dropped: Dropped = deque(maxlen=LONGEST_QUEUE)
        self._new_token = new_token
        self._release = release
        self._endings: WeakKeyDictionary[Any, dict[tuple[str, ...], ref[Ending]]] = (
            WeakKeyDictionary()
        )

    def ending(self, connection: BaseDatabaseWrapper) -> Ending:
        """The ending of the level that *connection* is at; made, and hooked, where there is none.

        A level's savepoint that is rolled back drops its ending alone: what is written after that
        is marked again, with another token.
        """
        levels = self._endings.get(connection, {})
        level = tuple(connection.savepoint_ids)
        ending = levels[level]() if level in levels else None
        if ending is None or not _is_hooked(connection, ending):
            ending = Ending(self._new_token(), self._release, self.dropped)
            transaction.on_commit(ending, using=connection.alias, robust=True)
            alive = {known: there for known, there in levels.items() if there() is not None}
            self._endings[connection] = alive | {level: ref(ending)}
        return ending


def _is_hooked(connection: BaseDatabaseWrapper, ending: Ending) -> bool:
    """Whether the transaction under way will call *ending*.

    One that somebody else keeps alive, as a test that captures hooks, may be of an earlier one.
    """
    return any(hook is ending for _, hook, *_ in connection.run_on_commit)


def _queue(dropped: Dropped, token: bytes, touched: list[Touched]) -> None:
    """Called by the garbage collector: no I/O, and nothing that can raise."""
    if touched and not _is_commit_in_doubt():
        dropped.append((token, touched))


def _is_commit_in_doubt() -> bool:
    """Whether Django drops its hooks because a COMMIT ended in an error.

    Then nobody knows whether the row changed, or when it will, and the marker must stay until it
    expires. Django handles that error in `Atomic.__exit__` itself, where the traceback begins;
    a rollback's exception comes from within the block.
    """
    error = sys.exception()
    if error is None or error.__traceback__ is None:
        return False
    return error.__traceback__.tb_frame.f_code is transaction.Atomic.__exit__.__code__
