"""Stores between refcache and Redis that do more, or less, than they are asked for."""

from collections.abc import Callable
from typing import Any

from refcache import ReferenceCache
from refcache.core.exceptions import StoreUnavailable
from refcache.core.operations import Operation
from refcache.core.stores import Store

Act = Callable[[], object]


class Interposed:
    """Performs everything on the store below, after `act` has had its turn.

    Args:
        below: The store that it stands before.
        kind: The operations that `act` is told of; those of its own doing are not.
        turn: At which of them it acts, counted from 1.
        act: What it does; an exception goes to whoever asked for the operation.
    """

    def __init__(self, below: Store, kind: type, turn: int, act: Act) -> None:
        self._below = below
        self._kind = kind
        self._turns_left = turn
        self._act = act

    def perform(self, operation: Operation) -> Any:
        self._take_turn(operation)
        return self._below.perform(operation)

    async def aperform(self, operation: Operation) -> Any:
        self._take_turn(operation)
        return await self._below.aperform(operation)

    def _take_turn(self, operation: Operation) -> None:
        if isinstance(operation, self._kind):
            self._turns_left -= 1
            if self._turns_left == 0:
                self._act()

    @property
    def has_acted(self) -> bool:
        return self._turns_left <= 0


class Failing:
    """Fails the next `failures` operations of a kind, as an outage of some moments does."""

    def __init__(self, below: Store, kind: type, failures: float = float("inf")) -> None:
        self._below = below
        self._kind = kind
        self.failures = failures

    def perform(self, operation: Operation) -> Any:
        if isinstance(operation, self._kind) and self.failures > 0:
            self.failures -= 1
            raise StoreUnavailable("as the test wants it")
        return self._below.perform(operation)

    async def aperform(self, operation: Operation) -> Any:
        return await self._below.aperform(operation)


class Repeating:
    """Performs each operation of a kind twice: the first reply was lost on the way."""

    def __init__(self, below: Store, kind: type) -> None:
        self._below = below
        self._kind = kind

    def perform(self, operation: Operation) -> Any:
        if isinstance(operation, self._kind):
            self._below.perform(operation)
        return self._below.perform(operation)

    async def aperform(self, operation: Operation) -> Any:
        return await self._below.aperform(operation)


def act_before(registry: ReferenceCache, kind: type, turn: int, act: Act) -> Interposed:
    """Have *act* called before the registry's operation number *turn* of *kind*."""
    backend = registry.runtime.backend
    store = Interposed(backend.store, kind, turn, act)
    backend.store = store
    return store


def fail(registry: ReferenceCache, kind: type, failures: float = float("inf")) -> Failing:
    """Have the registry's next *failures* operations of *kind* fail."""
    backend = registry.runtime.backend
    store = Failing(backend.store, kind, failures)
    backend.store = store
    return store


def repeat(registry: ReferenceCache, kind: type) -> None:
    """Have each of the registry's operations of *kind* performed twice."""
    backend = registry.runtime.backend
    backend.store = Repeating(backend.store, kind)
