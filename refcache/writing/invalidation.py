"""Marks and releases: the protocol's writes, performed at the right moment of a transaction."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from django.db import connections

from refcache.core.drivers import run
from refcache.core.events import Changed, Marked, Released, StoreFailed
from refcache.core.exceptions import InvalidationError, StoreUnavailable
from refcache.core.keys import Key
from refcache.core.operations import Operation
from refcache.core.terms import Terms
from refcache.core.writes import KnownSchemas, Touched, mark, release
from refcache.sql.sessions import is_in_transaction
from refcache.writing.recovery import Recovery
from refcache.writing.transactions import Ending, Transactions

RELEASES_AT_ONCE = 20  # so that one caller does not pay for all that rollbacks have left


class Invalidation:
    """Keeps the store in step with what this process writes."""

    def __init__(self, perform: Callable[[Operation], Any], terms: Terms) -> None:
        self.recovery = Recovery(self._release)
        self.marks_hold = terms.marks_hold
        self._perform = perform
        self._terms = terms
        self._known: KnownSchemas = {}
        self._transactions = Transactions(terms, self.after_write)
        self._unreleased: WeakKeyDictionary[Any, bytes] = WeakKeyDictionary()
        self._unmarked: WeakSet[Ending] = WeakSet()

    def before_write(self, alias: str, touched: Sequence[Touched]) -> bytes | None:
        """Mark what is about to be written.

        Returns:
            In autocommit the token, with which the caller releases after the statement. In a
            transaction None: its end releases.

        Raises:
            InvalidationError: A strict reference cannot be marked; do not write.
        """
        self.release_dropped()
        connection = connections[alias]
        if connection.in_atomic_block:
            ending = self._transactions.ending(connection)
            new = ending.unmarked(touched)
            if self._mark(ending.token, new):
                ending.marked(new)
            else:
                ending.has_unmarked = True
                self._unmarked.add(ending)
            return None
        if is_in_transaction(alias):
            # Nothing tells when it ends: the markers expire. One token will do for all of them.
            token = self._unreleased.setdefault(connection, self._terms.token())
            self._mark(token, touched)
            return None
        token = self._terms.token()
        self._mark(token, touched)
        return token

    def after_write(self, token: bytes, touched: Sequence[Touched]) -> None:
        """What was written is committed."""
        self.release(token, touched)
        for reference, cause, keys in changes(touched):
            self._terms.emit(Changed(reference, keys, cause))

    def invalidate(self, alias: str, touched: Sequence[Touched]) -> None:
        """Drop entries: now, and once more when the transaction under way ends.

        Raises:
            InvalidationError: The store cannot be told of a strict reference.
        """
        if is_in_transaction(alias):
            self.before_write(alias, touched)
            return
        token = self._terms.token()
        if any(each.is_strict for each in touched):
            self._mark(token, touched)
        self.after_write(token, touched)

    def release(self, token: bytes, touched: Sequence[Touched]) -> None:
        """The write is over, whether or not it has changed anything.

        Where the store cannot be reached, it is told later.
        """
        if not touched:
            return
        self._drop_copies(touched)
        try:
            self._release(token, touched)
        except StoreUnavailable as exc:
            self.recovery.add(token, touched)
            self._tell_failure("release", merge(touched), exc)

    def apply(self, touched: Sequence[Touched]) -> None:
        """Drop what others have written, now.

        Raises:
            StoreUnavailable: The store cannot be told; nothing is remembered.
        """
        self._drop_copies(touched)
        self._release(self._terms.token(), touched)
        for reference, _, keys in changes(touched):
            self._terms.emit(Changed(reference, keys, "relay"))

    @property
    def is_owing(self) -> bool:
        """Whether the store has not heard of something that this process writes, or has written."""
        if not self._unmarked:
            return len(self.recovery) > 0
        for ending in tuple(self._unmarked):
            if not ending.has_unmarked:
                self._unmarked.discard(ending)
        return bool(self._unmarked) or len(self.recovery) > 0

    @property
    def has_dropped(self) -> bool:
        """Whether rollbacks have left something to release."""
        return bool(self._transactions.dropped)

    def release_dropped(self) -> None:
        """Release some of what rollbacks have left."""
        for _ in range(RELEASES_AT_ONCE):
            if not self.has_dropped:
                return
            try:
                token, touched = self._transactions.dropped.popleft()
            except IndexError:  # Another thread was quicker.
                return
            if len(self.recovery):  # The store is in trouble: nobody waits for it now.
                self.recovery.add(token, touched)
            else:
                self.release(token, touched)

    def _release(self, token: bytes, touched: Sequence[Touched]) -> None:
        merged = merge(touched)
        run(release(merged, token, self._terms, self._known), self._perform)
        for each in merged:
            self._terms.emit(Released(each.family.reference, len(each.texts)))

    def _mark(self, token: bytes, touched: Sequence[Touched]) -> bool:
        """Whether the store has taken the mark."""
        if not touched:
            return True
        merged = merge(touched)
        self._drop_copies(merged)
        try:
            run(mark(merged, token, self._terms, self._known), self._perform)
        except StoreUnavailable as exc:
            self._tell_failure("mark", merged, exc)
            strict = [each.family.reference for each in merged if each.is_strict]
            if strict:
                raise InvalidationError(
                    f"Rows of {', '.join(strict)} cannot be marked in the cache, so that nothing "
                    f"is written: {exc} Retry when Redis is back, or register with strict=False."
                ) from exc
            return False
        for each in merged:
            self._terms.emit(Marked(each.family.reference, len(each.texts)))
        return True

    def _drop_copies(self, touched: Sequence[Touched]) -> None:
        for each in touched:
            self._terms.copies.drop(each.family.epoch_key, each.texts, whole=each.whole)

    def _tell_failure(
        self, operation: str, touched: Sequence[Touched], exc: StoreUnavailable
    ) -> None:
        for each in touched:
            self._terms.emit(StoreFailed(each.family.reference, operation, str(exc)))


def merge(touched: Sequence[Touched]) -> list[Touched]:
    """One per family, so that a script meets each epoch once."""
    first: dict[bytes, Touched] = {}
    texts: dict[bytes, dict[bytes, None]] = {}
    whole: set[bytes] = set()
    for each in touched:
        epoch_key = each.family.epoch_key
        first.setdefault(epoch_key, each)
        texts.setdefault(epoch_key, {}).update(dict.fromkeys(each.texts))
        if each.whole:
            whole.add(epoch_key)
    return [
        each._replace(texts=tuple(texts[epoch_key]), whole=epoch_key in whole, rows=())
        for epoch_key, each in first.items()
    ]


def changes(touched: Sequence[Touched]) -> Iterator[tuple[str, str, tuple[Key, ...] | None]]:
    """What to tell of writes: entries' name, cause, and primary keys, None for any row.

    A row that was written in several ways is told once, with the first one's cause.
    """
    causes: dict[str, dict[Key | None, str]] = {}
    for each in touched:
        told = causes.setdefault(each.family.reference, {})
        for key in (None,) if each.whole else each.rows:
            told.setdefault(key, each.cause)
    for name, told in causes.items():
        if None in told:
            yield name, told[None], None
            continue
        for cause in dict.fromkeys(told.values()):
            yield name, cause, tuple(key for key, why in told.items() if why == cause)
