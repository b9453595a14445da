"""Marks and releases: the protocol's writes, performed at the right moment of a transaction."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from django.db import connections

from refcache.core.drivers import run
from refcache.core.events import Marked, Released, StoreFailed
from refcache.core.exceptions import StoreUnavailable
from refcache.core.operations import Operation
from refcache.core.terms import Terms
from refcache.core.writes import KnownSchemas, Touched, mark, release
from refcache.reading.origin import is_in_transaction
from refcache.writing.transactions import Transactions

RETRY_AFTER = 1.0  # seconds; each attempt costs a caller the store's timeout
RELEASES_AT_ONCE = 20  # so that one caller does not pay for all that an outage has left


class Invalidation:
    """Keeps the store in step with what this process writes."""

    def __init__(self, perform: Callable[[Operation], Any], terms: Terms) -> None:
        self._perform = perform
        self._terms = terms
        self._known: KnownSchemas = {}
        self._retry_at = 0.0
        self._transactions = Transactions(terms, self.release)

    def before_write(self, alias: str, touched: Sequence[Touched]) -> bytes | None:
        """Mark what is about to be written.

        Returns:
            In autocommit the token, with which the caller releases after the statement. In a
            transaction None: its end releases.
        """
        self.release_dropped()
        connection = connections[alias]
        if connection.in_atomic_block:
            ending = self._transactions.ending(connection)
            new = ending.unmarked(touched)
            if self._mark(ending.token, new):
                ending.marked(new)
            return None
        token = self._terms.token()
        self._mark(token, touched)
        # Without autocommit and without atomic, nothing tells when it ends: the markers expire.
        return None if is_in_transaction(alias) else token

    def invalidate(self, alias: str, touched: Sequence[Touched]) -> None:
        """Drop entries: now, and once more when the transaction under way ends."""
        if is_in_transaction(alias):
            self.before_write(alias, touched)
        else:
            self.release(self._terms.token(), touched)

    def release(self, token: bytes, touched: Sequence[Touched]) -> None:
        """The write is over. Where the store cannot be reached, it is told later."""
        if not touched:
            return
        merged = merge(touched)
        try:
            run(release(merged, token, self._terms, self._known), self._perform)
        except StoreUnavailable as exc:
            self._retry_at = time.monotonic() + RETRY_AFTER
            self._transactions.dropped.append((token, list(touched)))
            self._tell_failure("release", merged, exc)
            return
        for each in merged:
            self._terms.emit(Released(each.family.reference, len(each.texts)))

    @property
    def has_dropped(self) -> bool:
        """Whether there are releases to make up for, and the store may be there for them."""
        return bool(self._transactions.dropped) and time.monotonic() >= self._retry_at

    def release_dropped(self) -> None:
        """Release some of what rollbacks have left, and of what the store could not be told."""
        for _ in range(RELEASES_AT_ONCE):
            if not self.has_dropped:
                return
            try:
                token, touched = self._transactions.dropped.popleft()
            except IndexError:  # Another thread was quicker.
                return
            self.release(token, touched)

    def _mark(self, token: bytes, touched: Sequence[Touched]) -> bool:
        """Whether the store has taken the mark."""
        if not touched:
            return True
        merged = merge(touched)
        try:
            run(mark(merged, token, self._terms, self._known), self._perform)
        except StoreUnavailable as exc:
            self._tell_failure("mark", merged, exc)
            return False
        for each in merged:
            self._terms.emit(Marked(each.family.reference, len(each.texts)))
        return True

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
        each._replace(texts=tuple(texts[epoch_key]), whole=epoch_key in whole)
        for epoch_key, each in first.items()
    ]
