"""Who performs the protocol's operations: the store, the loader, another thread, or a pause."""

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from asgiref.sync import sync_to_async

from refcache.core.drivers import arun, run
from refcache.core.exceptions import LoadTimedOut, Overloaded, StoreLeftAlone
from refcache.core.operations import (
    Detach,
    Load,
    Loaded,
    MayFill,
    Refresh,
    Turn,
    Wait,
)
from refcache.core.sources import Source
from refcache.core.stores import Store
from refcache.core.terms import Steps
from refcache.reading.loader import load, may_fill, may_share
from refcache.reading.sharing import Sharing
from refcache.reading.workers import Workers

if TYPE_CHECKING:
    from concurrent.futures import Future

T = TypeVar("T")


class Backend:
    """Performs any operation, here and now or awaited.

    Args:
        store: Keeps entries.
        loads: Threads of a database, for loads that have a time limit or nobody's thread: so a
            database that hangs holds up no other.
        refresh: Sees to it that what is old is loaded anew; must not block.
        arefresh: The same, in an event loop.
        is_owing: Whether the store has not heard yet of writes of this process: it may hold what
            they have replaced.
    """

    def __init__(
        self,
        store: Store,
        loads: Callable[[str], Workers],
        refresh: Callable[[Refresh], None],
        arefresh: Callable[[Refresh], None],
        is_owing: Callable[[], bool],
    ) -> None:
        self.store = store
        self._loads = loads
        self._is_owing = is_owing
        self._sharing = Sharing()
        self._refresh = refresh
        self._arefresh = arefresh

    def perform(self, operation: Any) -> Any:  # noqa: PLR0911 - one per operation
        match operation:
            case Load():
                return self._load(operation)
            case MayFill():
                return may_fill(operation.sources)
            case Wait():
                return time.sleep(operation.seconds)
            case Turn():
                return operation.future.result(operation.seconds)
            case Detach():
                return self._detached(operation)
            case Refresh():
                return self._refresh(operation)
        self._check_store()
        return self.store.perform(operation)

    def perform_write(self, operation: Any) -> Any:
        """A `Mark` or `Release`, whatever the store has not heard yet."""
        return self.store.perform(operation)

    async def aperform(self, operation: Any) -> Any:  # noqa: PLR0911 - as above
        match operation:
            case Load(is_shared=True):
                return await self._aload_shared(operation)
            case Load() | MayFill():  # Connections belong to the thread that Django gives us.
                return await sync_to_async(self.perform)(operation)
            case Wait():
                return await asyncio.sleep(operation.seconds)
            case Turn():
                return await _awaited(operation.future, operation.seconds)
            case Detach():
                return await self._adetached(operation)
            case Refresh():
                return self._arefresh(operation)
        self._check_store()
        return await self.store.aperform(operation)

    def _check_store(self) -> None:
        if self._is_owing():
            raise StoreLeftAlone("It has not heard yet of what this process wrote.")

    def _load(self, operation: Load) -> Loaded:
        if not operation.is_shared:
            return self._loaded(operation)
        if may_share(operation) and not _is_in_event_loop():
            return run(self._sharing.steps(operation), self.perform)
        return load(operation)  # Without a limit: another thread sees nothing of a transaction.

    async def _aload_shared(self, operation: Load) -> Loaded:
        if await sync_to_async(may_share)(operation):
            return await arun(self._sharing.steps(operation), self.aperform_beside)
        return await sync_to_async(load)(operation)

    async def aperform_beside(self, operation: Any) -> Any:
        """As `aperform`, with the database read in threads of our own.

        For what is read for others too, who may keep the thread that Django gives us, and for
        what outlasts a request.
        """
        match operation:
            case Load(is_shared=True):
                return await arun(self._sharing.steps(operation), self.aperform_beside)
            case Load():
                return await self._aloaded(operation)
            case MayFill():
                return await self._adetached(_in_thread(operation, operation.sources[0], None))
        return await self.aperform(operation)

    async def _aloaded(self, operation: Load) -> Loaded:
        try:
            loaded: Loaded = await self._adetached(_beside(operation))
        except LoadTimedOut as exc:
            return _failed(operation, exc)
        return loaded

    def _loaded(self, operation: Load) -> Loaded:
        if operation.seconds is None:
            return load(operation)
        try:
            loaded: Loaded = self._detached(_beside(operation))
        except LoadTimedOut as exc:
            return _failed(operation, exc)
        return loaded

    def _detached(self, operation: Detach) -> Any:
        future = self._begun(operation)
        try:
            return future.result(operation.seconds)
        except TimeoutError:
            raise _timed_out(future, operation) from None

    async def _adetached(self, operation: Detach) -> Any:
        future = self._begun(operation)
        try:
            return await _awaited(future, operation.seconds)
        except TimeoutError:
            raise _timed_out(future, operation) from None

    def _begun(self, operation: Detach) -> "Future[Any]":
        try:
            threads = self._loads(operation.source.origin.alias)
            return threads.submit(lambda: run(operation.steps, self.perform))
        except Overloaded:
            raise LoadTimedOut(operation.seconds or 0.0, is_begun=False) from None


def _beside(operation: Load) -> Detach:
    """The same, to be performed in another thread."""
    alone = operation._replace(seconds=None)
    return _in_thread(alone, operation.requests[0].source, operation.seconds)


def _in_thread(operation: Load | MayFill, source: Source, seconds: float | None) -> Detach:
    def steps() -> Steps[Any]:
        return (yield operation)

    return Detach(steps(), seconds, source)


def _failed(operation: Load, error: LoadTimedOut) -> Loaded:
    asked = [request.keys for request in operation.requests]
    failures = [dict.fromkeys(keys, error) for keys in asked]
    return Loaded([{}] * len(asked), [False] * len(asked), failures)


def _timed_out(future: "Future[Any]", operation: Detach) -> LoadTimedOut:
    return LoadTimedOut(operation.seconds or 0.0, is_begun=not future.cancel())


def _is_in_event_loop() -> bool:
    """Whether this thread runs a loop: it must not wait for what that may have to do."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def _awaited(future: "Future[T]", seconds: float | None) -> T:
    """Its result; whoever is cancelled here does not cancel it for others."""
    return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(future)), seconds)
