"""What a state of the exhaustive model is made of, and what leads from one to the next."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from refcache.core.rules import Rules
from refcache.core.sources import Source
from tests.simulation.behaviours import Behaviour
from tests.simulation.lapses import Raws

T = TypeVar("T")


@dataclass(frozen=True)
class Setting:
    """What is searched.

    Args:
        sources: One per schema.
        tasks: Readers first, then writers; neighbours that are equal are interchangeable.
        evicts_epoch: The epoch entry may be evicted while no writer is under way.
        evicts_early: Values may be evicted while the replica lags behind.
        overruns: Transactions may outlast their markers; then nobody crashes, and what holds is
            looked at only while no writer is under way.
        announced: The schemas are alive from the start; else the first reader announces its own.
        merge: Join histories that have the same fingerprint.
    """

    sources: Sequence[Source]
    tasks: Sequence[Behaviour]
    rules: Rules
    evicts_epoch: bool = False
    evicts_early: bool = False
    overruns: bool = False
    announced: bool = False
    merge: bool = True


class Database(NamedTuple):
    """The row: its committed versions so far, the one under way, and how far the replica is."""

    history: tuple[int, ...] = (0,)
    owner: int | None = None
    written: int = 0
    replica: int = 0

    @property
    def committed(self) -> int:
        return self.history[-1]

    def ended(self, *, commits: bool) -> "Database":
        history = (*self.history, self.written) if commits else self.history
        return Database(history, None, 0, self.replica)


class Store(NamedTuple):
    """The entries, and the writers that a young schema waits for."""

    raws: Raws
    owed: frozenset[bytes] = frozenset()


class Move(NamedTuple):
    """What one task can do in one step: the numbers that change, and what it did."""

    local: int
    store: int
    database: int
    committed: int  # the version that this step committed; -1: none
    result: Any  # of a task that this step ended; None: not ended, or no reader
    reply: Any


class Change(NamedTuple):
    """What happens by itself in one step."""

    store: int
    database: int
    committed: int
    crashed: int  # the task that crashes; -1: none
    name: str


@dataclass
class Found:
    """What a search came to; `schedule` leads to the violation, or is empty."""

    states: int
    schedule: list[str]


class Interned(Generic[T]):
    def __init__(self) -> None:
        self.items: list[T] = []
        self._numbers: dict[T, int] = {}

    def number(self, item: T) -> int:
        if item not in self._numbers:
            self._numbers[item] = len(self.items)
            self.items.append(item)
        return self._numbers[item]
