"""Guards left out, one at a time, to see that a run notices it."""

from typing import Any

from refcache import references
from refcache.core.operations import Mark, Operation, Read, Release, Written
from refcache.core.stores import Store


class Unmarking:
    """Says that it has marked, and has not."""

    def __init__(self, below: Store) -> None:
        self._below = below

    def perform(self, operation: Operation) -> Any:
        if isinstance(operation, Mark):
            return Written(self._below.perform(Read([])).now)
        return self._below.perform(operation)

    async def aperform(self, operation: Operation) -> Any:
        return await self._below.aperform(operation)


class Hasty(Unmarking):
    """Releases what is marked at once, and not after the commit only."""

    def perform(self, operation: Operation) -> Any:
        reply = self._below.perform(operation)
        if isinstance(operation, Mark) and reply.outdated is None:
            epoch = operation.fresh_epoch
            self._below.perform(Release(operation.groups, operation.token, epoch))
        return reply


class Listless(Unmarking):
    """Marks and releases no lists of keys."""

    def perform(self, operation: Operation) -> Any:
        if isinstance(operation, Mark | Release):
            groups = [each for each in operation.groups if b"~where~" not in each.epoch_key]
            operation = operation._replace(groups=groups)
            if not groups:
                return Written(self._below.perform(Read([])).now)
        return self._below.perform(operation)


STORES = {"lists": Listless, "marks": Unmarking, "release": Hasty}


def leave_out(guard: str | None) -> None:
    """Break the store of this process's registry; called after the fork."""
    if guard in STORES:
        backend = references.runtime.backend
        backend.store = STORES[guard](backend.store)
