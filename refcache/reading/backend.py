"""Who performs the protocol's operations: the store, the loader, or a pause."""

import asyncio
import time
from typing import Any, Protocol

from asgiref.sync import sync_to_async

from refcache.core.operations import Load, MayFill, Operation, Wait
from refcache.reading.loader import load, may_fill


class Store(Protocol):
    """What keeps entries: MemoryStore or RedisStore."""

    def perform(self, operation: Operation) -> Any: ...

    async def aperform(self, operation: Operation) -> Any: ...


class Backend:
    """Performs any operation, here and now or awaited."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def perform(self, operation: Operation) -> Any:
        match operation:
            case Load():
                return load(operation)
            case MayFill():
                return may_fill(operation.sources)
            case Wait():
                return time.sleep(operation.seconds)
        return self.store.perform(operation)

    async def aperform(self, operation: Operation) -> Any:
        match operation:
            case Load() | MayFill():  # Connections belong to the thread that Django gives us.
                return await sync_to_async(self.perform)(operation)
            case Wait():
                return await asyncio.sleep(operation.seconds)
        return await self.store.aperform(operation)
