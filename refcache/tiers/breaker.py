"""A store that stops asking one that does not answer, and finds out when it does again.

Source: the circuit breaker of Nygard, "Release It!" (2007), chapter 5; differs in that marks and
releases are passed on however it stands, and are its probes as well.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from threading import Lock
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MaxConnectionsError, ResponseError

from refcache.core.events import BreakerClosed, BreakerOpened, Event
from refcache.core.exceptions import StoreLeftAlone, StoreUnavailable
from refcache.core.operations import Mark, Operation, Release
from refcache.core.stores import Store

LONGEST = 8  # pauses; then a server that is back is not left alone for long

# Not all versions of redis-py, and of its pools, have a class for it.
EXHAUSTED = ("Too many connections", "No connection available.")


# What asyncio says to a coroutine that is collected when its loop has gone.
WITHOUT_LOOP = ("no running event loop", "Event loop is closed")


class Verdict(Enum):
    """What an operation's end says of the server."""

    ANSWERED = 1
    FAILED = 2
    NOTHING = 3


@dataclass(slots=True)
class _Outage:
    """From the opening to the closing; `until` is when the next probe may be sent."""

    since: float
    pause: float
    until: float


class Breaker:
    """Performs on *store*; refuses at once while that has not answered.

    Closed, it costs an attribute's look. After a pause one caller asks the store while all others
    are still refused (half-open): an answer closes it, a failure doubles the pause.

    Args:
        store: What performs.
        emit: Is told of `BreakerOpened` and `BreakerClosed`, once per outage each.
        failures: So many in a row open it, >= 1.
        pause: Seconds until the first probe, > 0; at most 8 times as long between later ones.

    Raises:
        StoreUnavailable: From `perform` and `aperform`: as the store's, or at once. `Mark` and
            `Release` always reach the store.
    """

    def __init__(
        self,
        store: Store,
        emit: Callable[[Event], None],
        *,
        failures: int,
        pause: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.store = store
        self._emit = emit
        self._limit = failures
        self._pause = pause
        self._monotonic = monotonic
        self._failures = 0  # in a row
        self._outage: _Outage | None = None
        self._lock = Lock()

    @property
    def is_open(self) -> bool:
        return self._outage is not None

    def perform(self, operation: Operation) -> Any:
        probe = self._admit(operation) if self._failures else None
        try:
            reply = self.store.perform(operation)
        except BaseException as exc:
            self._ended(verdict(exc), probe, exc)
            raise
        if self._failures:
            self._ended(Verdict.ANSWERED, probe)
        return reply

    async def aperform(self, operation: Operation) -> Any:
        probe = self._admit(operation) if self._failures else None
        try:
            reply = await self.store.aperform(operation)
        except BaseException as exc:  # a cancellation, too
            self._ended(verdict(exc), probe, exc)
            raise
        if self._failures:
            self._ended(Verdict.ANSWERED, probe)
        return reply

    def close(self) -> None:
        """Close the store, if it can be closed."""
        if close := getattr(self.store, "close", None):
            close()

    def _admit(self, operation: Operation) -> _Outage | None:
        """The outage whose probe the operation is, if it is one.

        Raises:
            StoreUnavailable: It is not to be performed.
        """
        if isinstance(operation, Mark | Release):
            return None
        with self._lock:
            outage = self._outage
            if outage is None:
                return None
            now = self._monotonic()
            if now >= outage.until:
                # A probe that never ends, as in a forked process, is followed by another.
                outage.until = now + LONGEST * self._pause
                return outage
            wait, failures = outage.until - now, self._failures
        raise StoreLeftAlone(
            f"Redis has not answered {failures} times in a row; asked again in {wait:.1f} s."
        )

    def _ended(
        self, verdict: Verdict, probe: _Outage | None, exc: BaseException | None = None
    ) -> None:
        with self._lock:
            if verdict is Verdict.ANSWERED:
                event = self._answered()
            elif verdict is Verdict.FAILED:
                event = self._failed(probe, exc)
            else:
                event = None
                if probe:
                    probe.until = self._monotonic()
        if event:
            self._emit(event)

    def _answered(self) -> Event | None:
        outage, self._outage, self._failures = self._outage, None, 0
        return BreakerClosed("", self._monotonic() - outage.since) if outage else None

    def _failed(self, probe: _Outage | None, exc: BaseException | None) -> Event | None:
        self._failures += 1
        now = self._monotonic()
        outage = self._outage
        if outage is None:
            if self._failures < self._limit:
                return None
            self._outage = _Outage(now, self._pause, now + self._pause)
            return BreakerOpened("", str(exc))
        # Others that fail began before it opened, or are marks: they do not put off the probe.
        if probe is outage:
            outage.pause = min(2 * outage.pause, LONGEST * self._pause)
            outage.until = now + outage.pause
        return None


def verdict(exc: BaseException) -> Verdict:
    """What an error says of the server.

    One that refuses (full, read-only, busy, not allowed) answers, and at once; a pool without a
    free connection, a cancellation, an event loop that has gone and a fault of ours say nothing.
    """
    if not isinstance(exc, StoreUnavailable):
        return Verdict.NOTHING
    cause = exc.__cause__
    if isinstance(cause, ResponseError):
        return Verdict.ANSWERED
    if isinstance(cause, MaxConnectionsError):
        return Verdict.NOTHING
    if isinstance(cause, RedisConnectionError) and str(cause) in EXHAUSTED:
        return Verdict.NOTHING
    if isinstance(cause, RuntimeError) and str(cause) in WITHOUT_LOOP:
        return Verdict.NOTHING
    return Verdict.FAILED
