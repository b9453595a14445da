"""A generator as a table of local states, so that a search can go back to any of them.

Generators cannot be copied. But what one does next follows from the replies that it has had, so
a local state is kept as such a history, and one history stands for all with the same fingerprint.
"""

from collections.abc import Generator, Hashable
from typing import Any, NamedTuple

from refcache.core.exceptions import LoadFailed, StoreUnavailable
from refcache.core.operations import MayFill, Wait
from refcache.core.terms import Terms
from tests.simulation.behaviours import Behaviour, Draw
from tests.simulation.fingerprints import fingerprint, fixed

# By how often a reader looks again: between the sums of the protocol's first pauses.
LEASE_WAITS = (0.001, 0.003, 0.006)


class Finished(NamedTuple):
    """What a task's last operation is replaced by."""

    result: Any


class Throw(NamedTuple):
    """A reply that is an exception."""

    error: type[Exception]


class Automaton:
    """The local states of one task, numbered from 0, the first, as they are met."""

    def __init__(
        self, behaviour: Behaviour, name: str, write_timeout: float, *, merge: bool
    ) -> None:
        self.behaviour = behaviour
        self._name = name.encode()
        self._write_timeout = write_timeout
        self._merge = merge
        self._numbers: dict[Hashable, int] = {}
        self._histories: list[tuple[Any, ...]] = []
        self._steps: dict[tuple[int, Hashable], int] = {}
        self.operations: list[Any] = []
        self._arrive(())

    def step(self, local: int, reply: Any) -> int:
        key = (local, fixed(reply) if not isinstance(reply, Throw) else reply)
        if key not in self._steps:
            self._steps[key] = self._arrive((*self._histories[local], reply))
        return self._steps[key]

    def _arrive(self, history: tuple[Any, ...]) -> int:
        draw = Draw(self._name)
        steps = self.behaviour.start(self._terms(draw))
        operation = self._replayed(steps, history)
        mark: Hashable = history
        if isinstance(operation, Finished):
            mark = operation
        elif self._merge:
            mark = (fingerprint(steps), fixed(operation), draw.count)
        else:
            mark = tuple(fixed(r) if not isinstance(r, Throw) else r for r in history)
        if mark not in self._numbers:
            self._numbers[mark] = len(self.operations)
            self._histories.append(history)
            self.operations.append(operation)
        return self._numbers[mark]

    def _replayed(self, steps: Generator[Any, Any, Any], history: tuple[Any, ...]) -> Any:
        try:
            operation = self._past_local(steps, next(steps))
            for reply in history:
                if isinstance(reply, Throw):
                    operation = steps.throw(self._error(reply, operation))
                else:
                    operation = steps.send(reply)
                operation = self._past_local(steps, operation)
        except StopIteration as stop:
            return Finished(stop.value)
        return operation

    def _past_local(self, steps: Generator[Any, Any, Any], operation: Any) -> Any:
        """Answer what touches nobody else; it needs no place in the interleaving."""
        while isinstance(operation, MayFill | Wait):
            answers = None
            if isinstance(operation, MayFill):
                answers = [self.behaviour.may_fill] * len(operation.sources)
            operation = steps.send(answers)
        return operation

    def _error(self, reply: Throw, operation: Any) -> Exception:
        if reply.error is LoadFailed:
            request = operation.requests[0]
            return LoadFailed(request.source, request.keys)
        return StoreUnavailable("the reply was lost")

    def _terms(self, draw: Draw) -> Terms:
        return Terms(
            draw.token,
            draw.epoch,
            chance=lambda: 0.0,
            emit=lambda _: None,
            lease_wait=LEASE_WAITS[self.behaviour.polls],
            write_timeout=self._write_timeout,
        )
