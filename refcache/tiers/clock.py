"""Redis's time, without asking for it each time."""

import time
from collections.abc import Callable

TRUSTED_FOR = 60.0  # seconds; a quartz clock drifts some milliseconds in that time


class Clock:
    """The server's milliseconds: a monotonic clock, set by what the server's replies say.

    The offset is taken from when the request was sent, so the clock is never behind by more than
    its drift: what it calls fresh is fresh.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._offset_ms = 0.0
        self._set_at: float | None = None

    @property
    def is_set(self) -> bool:
        return self._set_at is not None and self._monotonic() - self._set_at < TRUSTED_FOR

    def sent(self) -> float:
        """The moment to remember when a request leaves; hand it to `set`."""
        return self._monotonic()

    def set(self, server_ms: int, sent: float) -> None:
        self._offset_ms = server_ms - sent * 1000
        self._set_at = sent

    def now(self) -> int:
        return int(self._monotonic() * 1000 + self._offset_ms)
