"""When a write is over: what was marked is released on commit, and on rollback where one can tell.

Django calls `on_commit` hooks after the commit and drops them in silence after a rollback. So the
hook is an object with a finalizer: dropped by a rollback, it queues its release, and whoever uses
refcache next performs it.
"""

import inspect
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakKeyDictionary, finalize, ref

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from refcache.core.terms import Terms
from refcache.core.writes import Touched

Release = Callable[[bytes, Sequence[Touched]], None]
Dropped = deque[tuple[bytes, list[Touched]]]
Name = tuple[str, bytes]

WHOLE = b""  # in the place of an entry's text, which is never empty

# What cannot be released for so long is forgotten, the oldest first: entries whose mark failed as
# well are then stale for their TTL at most.
LONGEST_QUEUE = 10_000


class Ending:
    """The end of a transaction: the hook that releases what was marked in it, with one token.

    One is enough for all its savepoints. A hook made within a savepoint goes with it when that is
    rolled back; but then all it has marked was written within that savepoint too, since whatever
    came before would have made the hook before, and what comes after makes another one.
    """

    def __init__(self, terms: Terms, release: Release, dropped: Dropped) -> None:
        self.token = terms.token()
        self.touched: list[Touched] = []
        self.place = 0  # among the connection's hooks, when it was last seen there
        self.has_unmarked = False  # The store may hold, as current, what it has written.
        self._marked: dict[Name, float] = {}
        # A transaction may be longer than it should be; its second write prolongs the marker.
        self._holds_for = terms.marks_hold
        self._release = release
        self._finalizer = finalize(self, _queue, dropped, self.token, self.touched, os.getpid())
        self._finalizer.atexit = False

    def unmarked(self, touched: Sequence[Touched]) -> list[Touched]:
        """What of *touched* is to be marked; it is released at the end in any case."""
        oldest = time.monotonic() - self._holds_for
        new = without(touched, lambda name: self._marked.get(name, 0.0) > oldest)
        self.touched += new
        return new

    def marked(self, touched: Sequence[Touched]) -> None:
        """The store has taken the marks."""
        now = time.monotonic()
        for each in touched:
            self._marked.update(dict.fromkeys(names(each), now))

    def __call__(self) -> None:
        self._finalizer.detach()
        self._release(self.token, self.touched)
        self.has_unmarked = False


class Transactions:
    """The ending of the transaction that each connection is in."""

    def __init__(self, terms: Terms, release: Release) -> None:
        self.dropped: Dropped = deque(maxlen=LONGEST_QUEUE)
        self._terms = terms
        self._release = release
        self._endings: WeakKeyDictionary[Any, ref[Ending]] = WeakKeyDictionary()

    def ending(self, connection: BaseDatabaseWrapper) -> Ending:
        """The ending of the transaction under way on *connection*; hooked, where it is new."""
        known = self._endings.get(connection)
        ending = known() if known is not None else None
        if ending is None or not _is_hooked(connection, ending):
            ending = Ending(self._terms, self._release, self.dropped)
            ending.place = len(connection.run_on_commit)
            transaction.on_commit(ending, using=connection.alias, robust=True)
            self._endings[connection] = ref(ending)
        return ending


def names(touched: Touched) -> list[Name]:
    """Each entry, and the empty text for all of a reference."""
    found = [(touched.family.reference, text) for text in touched.texts]
    return [*found, (touched.family.reference, WHOLE)] if touched.whole else found


def without(touched: Sequence[Touched], is_marked: Callable[[Name], bool]) -> list[Touched]:
    """What of *touched* is not marked, be it alone or with all of its reference."""
    found = []
    for each in touched:
        reference = each.family.reference
        if is_marked((reference, WHOLE)):
            continue
        texts = tuple(text for text in each.texts if not is_marked((reference, text)))
        if texts or each.whole:
            found.append(each._replace(texts=texts))
    return found


def _is_hooked(connection: BaseDatabaseWrapper, ending: Ending) -> bool:
    """Whether the transaction under way will call *ending*.

    One that somebody else keeps alive, as a test that captures hooks, may be of an earlier one.
    """
    hooks = connection.run_on_commit
    if ending.place < len(hooks) and hooks[ending.place][1] is ending:
        return True
    # A savepoint that was rolled back takes its hooks out of the list.
    places = (place for place, hook in enumerate(hooks) if hook[1] is ending)
    ending.place = next(places, len(hooks))
    return ending.place < len(hooks)


def _queue(dropped: Dropped, token: bytes, touched: list[Touched], pid: int) -> None:
    """Called by the garbage collector: no I/O, and nothing that can raise."""
    if touched and pid == os.getpid() and _is_rolled_back():
        dropped.append((token, touched))


# Whoever runs these drops the hooks because the database has rolled back, and has said so.
# Unwrapped, as Django's decorator would lend the code of its own, close()'s too, to each of them.
ROLLBACKS = frozenset(
    inspect.unwrap(each).__code__
    for each in (BaseDatabaseWrapper.rollback, BaseDatabaseWrapper.savepoint_rollback)
)


def _is_rolled_back() -> bool:
    """Whether Django drops its hooks because of a rollback, as far as one can know.

    After a COMMIT that ended in an error nobody knows whether the row has changed, or when it
    will: the marker must stay until it expires. Django handles that error in `Atomic.__exit__`
    itself, where the traceback then begins, and rolls back; a rollback's own exception comes from
    within the block. A connection that is closed is no answer either.
    """
    error = sys.exception()
    trace = error.__traceback__ if error is not None else None
    if trace is not None and trace.tb_frame.f_code is transaction.Atomic.__exit__.__code__:
        return False
    frame = inspect.currentframe()
    while frame is not None and frame.f_code not in ROLLBACKS:
        frame = frame.f_back
    return frame is not None
