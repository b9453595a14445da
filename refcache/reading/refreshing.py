"""Background refreshes: handed to threads of this process, to its event loop, or to an executor."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextvars import Context
from typing import Any, Protocol

from refcache.core.events import Event, RefreshRefused
from refcache.core.exceptions import Overloaded, RefcacheError, ReferenceUnavailable
from refcache.core.operations import Refresh
from refcache.processes import after_fork
from refcache.reading.workers import Workers

Keys = dict[str, list[Any]]
Executor = Callable[[Keys, float], object]

LONGEST = 10.0  # seconds; a loop that is simply left never says that its refreshes have ended
MOST_TASKS = 100  # of all event loops; whoever reads the old values next asks again


class Refreshing(Protocol):
    """Who loads anew, and is told what became of it."""

    def emit(self, event: Event) -> None: ...

    def refresh(self, keys: Mapping[str, Iterable[object]], within: float = 0.0) -> None: ...

    async def arefresh(self, keys: Mapping[str, Iterable[object]], within: float = 0.0) -> None: ...


class Refresher:
    """Has old values loaded anew while their readers go on.

    Args:
        registry: Loads them.
        workers: Threads for it.
        executor: Sees to it elsewhere, given keys and how soon they are old; None: nobody.
    """

    def __init__(
        self,
        registry: Refreshing,
        workers: Workers,
        executor: Executor | None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry = registry
        self._workers = workers
        self._executor = executor
        self._monotonic = monotonic
        self._under_way: dict[tuple[str, Any], float] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._lock = threading.Lock()
        after_fork(self._forget_parent)

    def refresh(self, operation: Refresh) -> None:
        """From a thread."""
        keys, within = self._begun(operation)
        if not keys:
            return
        try:
            self._workers.submit(lambda: self._attempt(keys, within))
        except RefcacheError as exc:  # Whoever reads the old values next asks again.
            self._ended(keys, exc)

    def arefresh(self, operation: Refresh) -> None:
        """From an event loop: a task of its own, which the loop's end cancels."""
        if self._executor is not None:
            self.refresh(operation)
            return
        keys, within = self._begun(operation)
        if not keys:
            return
        self._tasks = {task for task in self._tasks if not task.get_loop().is_closed()}
        if len(self._tasks) >= MOST_TASKS:
            self._ended(keys, Overloaded(f"{MOST_TASKS} refreshes are under way."))
            return
        # In a context of its own: nothing of the request's is to outlast it.
        task = asyncio.get_running_loop().create_task(
            self._registry.arefresh(keys, within), context=Context()
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # Here, and not in the task: one that is cancelled early never runs.
        task.add_done_callback(lambda done: self._task_ended(done, keys, within))

    def _task_ended(self, task: "asyncio.Task[None]", keys: Keys, within: float) -> None:
        if not task.cancelled():
            self._ended(keys, task.exception())
            return
        try:  # Its loop ends, as one of `async_to_sync` does with its call.
            self._workers.submit(lambda: self._attempt(keys, within))
        except RefcacheError as exc:
            self._ended(keys, exc)

    def _attempt(self, keys: Keys, within: float) -> None:
        error: Exception | None = None
        try:
            if self._executor is not None:
                self._executor(keys, within)
            else:
                self._registry.refresh(keys, within)
        except Exception as exc:  # noqa: BLE001 - the executor is foreign, and nobody waits
            error = exc
        finally:
            self._ended(keys, error)

    def _begun(self, operation: Refresh) -> tuple[Keys, float]:
        """What nobody of this process refreshes yet."""
        keys: Keys = {}
        now = self._monotonic()
        with self._lock:
            for name, each in operation.keys.items():
                fresh = [key for key in each if self._under_way.get((name, key), now) <= now]
                self._under_way.update(dict.fromkeys(((name, key) for key in fresh), now + LONGEST))
                if fresh:
                    keys[name] = fresh
        return keys, operation.horizon_ms / 1000

    def _ended(self, keys: Keys, error: BaseException | None = None) -> None:
        # Else not before LONGEST has passed: a database in trouble is not asked at each read.
        if not isinstance(error, ReferenceUnavailable):
            with self._lock:
                for name, each in keys.items():
                    for key in each:
                        self._under_way.pop((name, key), None)
        if error is None:
            return
        for name, each in keys.items():
            reason = f"{type(error).__name__}: {error}"
            self._registry.emit(RefreshRefused(name, len(each), reason))

    def _forget_parent(self) -> None:
        self._under_way, self._tasks, self._lock = {}, set(), threading.Lock()
