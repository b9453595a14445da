"""What a relay has done since it last said so."""

from collections import deque
from statistics import median
from threading import Lock

from refcache.core.events import Relayed

MOST_LAGS = 100_000  # of the last ones a median is taken; a busy minute has more


class Tally:
    """Counts changes and keeps their lags, by database."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: dict[str, int] = {}
        self._lags: dict[str, deque[float]] = {}
        self._worst: dict[str, float] = {}

    def add(self, event: Relayed) -> None:
        alias = event.alias
        with self._lock:
            self._counts[alias] = self._counts.get(alias, 0) + len(event.lags)
            self._lags.setdefault(alias, deque(maxlen=MOST_LAGS)).extend(event.lags)
            self._worst[alias] = max(self._worst.get(alias, 0.0), *event.lags)

    def told(self, alias: str) -> str:
        """The changes of *alias* since the last time, in words."""
        with self._lock:
            count = self._counts.pop(alias, 0)
            lags, worst = self._lags.pop(alias, None), self._worst.pop(alias, 0.0)
        return in_words(count, median(lags), worst) if lags else "0 changes"


def in_words(count: int, lag: float, worst: float) -> str:
    return f"{count} changes, lag {lag * 1000:.1f} ms median, {worst * 1000:.1f} ms worst"
