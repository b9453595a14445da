"""What happened, as frozen values, and who is told."""

import logging
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from threading import Lock

logger = logging.getLogger("refcache")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to one reference (or, where it is empty, to all)."""

    reference: str


@dataclass(frozen=True, slots=True)
class Resolved(Event):
    """A read was answered: how many keys by the store, by the database, and how many absent."""

    hits: int
    loads: int
    absent: int


@dataclass(frozen=True, slots=True)
class RowsLoaded(Event):
    """Rows were asked of the database, in bulk."""

    keys: int


@dataclass(frozen=True, slots=True)
class FillRefused(Event):
    """Loaded values were not stored: a write came in between."""

    keys: int


@dataclass(frozen=True, slots=True)
class CorruptEntry(Event):
    """Bytes under one of our keys were not an entry of ours; the key counted as a miss."""

    entry_key: bytes


@dataclass(frozen=True, slots=True)
class NotStored(Event):
    """A row was served without being stored: its schema cannot carry one of its values."""

    reason: str


@dataclass(frozen=True, slots=True)
class Marked(Event):
    """Rows are about to be written."""

    keys: int


@dataclass(frozen=True, slots=True)
class Released(Event):
    """A write ended and its markers are gone."""

    keys: int


@dataclass(frozen=True, slots=True)
class Relayed(Event):
    """Changes that triggers had noted were applied; each lag in seconds."""

    alias: str
    lags: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Changed(Event):
    """Rows were written, and that is committed; `keys` are primary keys, None means any row."""

    keys: tuple[Hashable, ...] | None
    cause: str


@dataclass(frozen=True, slots=True)
class KeyRejected(Event):
    """A caller gave a key that cannot be one."""

    reason: str


@dataclass(frozen=True, slots=True)
class PerRow(Event):
    """A page asked row by row instead of once."""

    reason: str


@dataclass(frozen=True, slots=True)
class ServedStale(Event):
    """Values past their TTL were served, as the declaration allows."""

    keys: int
    why: str


@dataclass(frozen=True, slots=True)
class NotLoaded(Event):
    """Rows could not be read from the database, or not in time."""

    keys: int
    reason: str


@dataclass(frozen=True, slots=True)
class Refreshing(Event):
    """Rows that are old, or soon will be, are loaded anew in the background."""

    keys: int


@dataclass(frozen=True, slots=True)
class RefreshRefused(Event):
    """A refresh was not done; the old values are served on, as far as they are tolerated."""

    keys: int
    reason: str


@dataclass(frozen=True, slots=True)
class StoreFailed(Event):
    """The store did not answer; reads went to the database, a mark or release was not made."""

    operation: str
    reason: str


@dataclass(frozen=True, slots=True)
class BreakerOpened(Event):
    """The store is left alone: reads go to the database at once."""

    reason: str


@dataclass(frozen=True, slots=True)
class BreakerClosed(Event):
    """The store answers again, after so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class ServerChanged(Event):
    """Connections lead to another server, or to one that was started anew."""

    before: int
    after: int


@dataclass(frozen=True, slots=True)
class StoreLeftAlone(Event):
    """A read went to the database without asking the store; why that is was told before."""


Observer = Callable[[Event], None]


class Observers:
    """Hands each event to every observer; one that raises is logged and skipped."""

    def __init__(self, observers: Sequence[Observer] = ()) -> None:
        self._observers = list(observers)

    def subscribe(self, observer: Observer) -> None:
        self._observers.append(observer)

    def unsubscribe(self, observer: Observer) -> None:
        self._observers.remove(observer)

    def emit(self, event: Event) -> None:
        for observer in tuple(self._observers):
            try:
                observer(event)
            except Exception:
                logger.exception("An observer of refcache's events failed on %r.", event)


class EventCounts:
    """An observer that counts: by event, or by event and reference."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self.forget_parent()

    def __call__(self, event: Event) -> None:
        with self._lock:
            self._counts[type(event).__name__, event.reference] += 1

    def of(self, kind: type[Event], reference: str | None = None) -> int:
        name = kind.__name__
        if reference is not None:
            return self._counts[name, reference]
        return sum(n for (kind_name, _), n in self._counts.items() if kind_name == name)

    def all(self) -> dict[str, int]:
        """How many there were of each event, of all references, by its class's name."""
        with self._lock:
            counts = tuple(self._counts.items())
        found: Counter[str] = Counter()
        for (kind_name, _), n in counts:
            found[kind_name] += n
        return dict(found)

    def forget_parent(self) -> None:
        """For a forked child: another thread of its parent may have held the lock."""
        self._lock = Lock()


TROUBLES = (
    StoreFailed
    | CorruptEntry
    | PerRow
    | NotStored
    | NotLoaded
    | RefreshRefused
    | BreakerOpened
    | BreakerClosed
    | ServerChanged
)


def log_troubles(event: Event) -> None:
    """Write to the log what an operator should see; the rest is for the metrics."""
    if isinstance(event, TROUBLES):
        logger.warning("%r", event)
    elif isinstance(event, KeyRejected):  # Whoever may send keys could fill the log.
        logger.debug("%r", event)
