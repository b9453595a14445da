"""A store that keeps nothing: every read goes to the database."""

from typing import Any

from refcache.core.operations import (
    Claim,
    Claimed,
    Entries,
    Fill,
    Filled,
    Grant,
    Operation,
    Read,
    Written,
)


class NullStore:
    """What Django's dummy cache is among caches."""

    def perform(self, operation: Operation) -> Any:
        match operation:
            case Read():
                return Entries([None] * len(operation.entry_keys), 0)
            case Claim():
                refused = [[Grant.REFUSED] * len(each.entry_keys) for each in operation.groups]
                return Claimed(0, [b""] * len(operation.groups), refused)
            case Fill():
                return Filled(0, [False] * len(operation.items))
        return Written(0)

    async def aperform(self, operation: Operation) -> Any:
        return self.perform(operation)
