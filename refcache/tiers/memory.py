"""A store in this process: the rules on a dictionary. For development and for quick tests."""

import threading
import time
from collections.abc import Callable
from typing import Any

from refcache.core.epochs import Changes, Put
from refcache.core.operations import Claim, Entries, Fill, Mark, Operation, Read, Release
from refcache.core.rules import Rules

SWEEP_AFTER = 10_000  # puts, or as many as entries were left by the last sweep


def wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


class MemoryStore:
    """Entries of one process; nobody else sees them, and nobody else's writes reach them."""

    def __init__(
        self, clock: Callable[[], int] = wall_clock_ms, rules: Rules | None = None
    ) -> None:
        self._clock = clock
        self._rules = rules or Rules()
        self._entries: dict[bytes, tuple[bytes, int | None]] = {}
        self._lock = threading.Lock()
        self._puts_left = SWEEP_AFTER

    def perform(self, operation: Operation) -> Any:
        with self._lock:
            now = self._clock()
            if isinstance(operation, Read):
                raws = [self._get(key, now) for key in operation.entry_keys]
                return Entries(raws, now, self._rules.incarnation)
            changes, reply = self._transition(operation, now)
            for key, put in changes.items():
                self._put(key, put, now)
            self._puts_left -= len(changes)
            if self._puts_left < 0:
                self._sweep(now)
            return reply

    async def aperform(self, operation: Operation) -> Any:
        return self.perform(operation)

    def _transition(self, operation: Operation, now: int) -> tuple[Changes, Any]:
        def get(key: bytes) -> bytes | None:
            return self._get(key, now)

        match operation:
            case Claim():
                return self._rules.claim(get, operation, now)
            case Fill():
                return self._rules.fill(get, operation, now)
            case Mark():
                return self._rules.mark(get, operation, now)
            case Release():
                return self._rules.release(get, operation, now)
        raise TypeError(f"A store does not perform {operation!r}.")

    def _sweep(self, now: int) -> None:
        """Forget what has expired and nobody has asked for again."""
        alive = self._entries.items()
        self._entries = {key: kept for key, kept in alive if kept[1] is None or kept[1] > now}
        self._puts_left = max(SWEEP_AFTER, len(self._entries))

    def _get(self, key: bytes, now: int) -> bytes | None:
        raw, expires = self._entries.get(key, (None, None))
        if expires is not None and expires <= now:
            del self._entries[key]
            return None
        return raw

    def _put(self, key: bytes, put: Put, now: int) -> None:
        if put.raw is None:
            self._entries.pop(key, None)
        elif put.keep_ms == 0:
            self._entries[key] = (put.raw, self._entries[key][1])
        else:
            expires = None if put.keep_ms is None else now + put.keep_ms
            self._entries[key] = (put.raw, expires)
