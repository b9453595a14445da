"""What every store is to the rest."""

from typing import Any, Protocol

from refcache.core.operations import Operation


class Store(Protocol):
    """Keeps entries: performs `Read`, `Claim`, `Fill`, `Mark` and `Release`, each at once.

    Raises:
        StoreUnavailable: It gave no usable answer in time.
    """

    def perform(self, operation: Operation) -> Any: ...

    async def aperform(self, operation: Operation) -> Any: ...
