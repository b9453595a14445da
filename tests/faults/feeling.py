"""What a process feels of a fault: refcache's events, and what its statements and pages tell."""

import time
from collections.abc import Callable
from threading import get_ident
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from refcache import references
from refcache.core.events import Event, RowsLoaded

PAGE = 10  # keys of a read
# No statement takes as long where the database is well; the delay of a slow one is no shorter.
SLOW = 0.2  # seconds

# Counted like events, beside those that refcache has.
SLOW_LOAD = "SlowLoad"  # a statement took SLOW, be it at its end or not
PAGE_LOADED = "PageLoaded"  # Redis had nothing of all that a read asked for


class Feeling:
    """Counts from now on, on all threads' connections that are opened from now on."""

    def __init__(self) -> None:
        self._begun: dict[int, float] = {}
        self._slow = 0
        self._pages = 0
        connection_created.connect(self._watch)
        references.subscribe(self._observe)

    def counts(self) -> dict[str, int]:
        now = time.monotonic()
        under_way = sum(now - began >= SLOW for began in tuple(self._begun.values()))
        own = {SLOW_LOAD: self._slow + under_way, PAGE_LOADED: self._pages}
        return {**references.counts.all(), **own}

    def _observe(self, event: Event) -> None:
        if isinstance(event, RowsLoaded):
            self._pages += event.keys == PAGE

    def _watch(self, *, connection: BaseDatabaseWrapper, **_: object) -> None:
        if self._time not in connection.execute_wrappers:
            connection.execute_wrappers.append(self._time)

    def _time(self, execute: Callable[..., Any], *statement: Any) -> Any:
        # A thread has one statement under way.
        began = self._begun[get_ident()] = time.monotonic()
        try:
            return execute(*statement)
        finally:
            del self._begun[get_ident()]
            self._slow += time.monotonic() - began >= SLOW
