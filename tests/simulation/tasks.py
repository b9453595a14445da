"""What the simulator runs: actors on their way, and what they wait for."""

from dataclasses import dataclass
from typing import Any

from refcache.core.exceptions import LoadTimedOut
from refcache.core.operations import Detach
from tests.simulation.actors import Actor, Lock, Steps
from tests.simulation.town import Place

PENDING: Any = object()


@dataclass(eq=False)
class Task:
    """One actor.

    Args:
        name: For people.
        actor: Who it is.
        steps: What it does.
        operation: What it does next.
        start: The tick in which it came.
        came: The time of that, in ms.
        wakes: Until when it waits, in ms.
        marked: When it first asked the store for a mark, in ms.
        committed: The tick in which it did.
        locks: The rows that it holds.
        is_unmarked: Its marks were not made, or were lost; it must tell the store of its end.
        owes: It has committed, and the store has not heard of that.
        beside: What it has begun beside itself.
        has_begun: It has performed an operation.
        result: What its steps returned.
    """

    name: str
    actor: Actor
    steps: Steps
    operation: Any
    start: int
    came: int
    wakes: int = 0
    marked: int | None = None
    committed: int | None = None
    locks: tuple[Place, ...] = ()
    is_unmarked: bool = False
    owes: bool = False
    beside: "Task | None" = None
    has_begun: bool = False
    result: Any = PENDING

    def is_ready(self, now: int, locked: dict[Place, object]) -> bool:
        if isinstance(self.operation, Lock):
            return not any(place in locked for place in self.operation.places)
        if self.beside is not None and self.beside.result is not PENDING:
            return True
        return self.wakes <= now

    def hear(self, detach: Detach) -> Any:
        """What came of what it has begun beside itself.

        Raises:
            LoadTimedOut: It has taken too long; what has begun goes on.
        """
        other, self.beside = self.beside, None
        if other is None or other.result is PENDING:
            seconds = detach.seconds or 0.0
            raise LoadTimedOut(seconds, is_begun=other is not None and other.has_begun)
        return other.result


class Violation(AssertionError):
    """A promise was broken; the message tells how to see it again."""
