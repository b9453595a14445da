"""A few threads for what must not keep a caller: refreshes, and loads with a time limit."""

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from contextvars import Context
from functools import cache
from typing import Any, NamedTuple, TypeVar

from django.db import Error, close_old_connections, connections

from refcache.core.exceptions import Overloaded
from refcache.processes import after_fork, at_exit

T = TypeVar("T")

# Seconds that a thread keeps its connections for the next job: long enough for the refreshes of
# a busy page, and short beside what databases take for idle.
IDLE = 10.0
AT_EXIT = 1.0  # seconds for all jobs that are under way when the interpreter ends


class Workers:
    """Performs jobs in daemon threads, which are started when they are needed.

    Each thread has database connections of its own and closes them when it ends. A forked child
    begins with no thread and no job.

    Args:
        name: For the threads' names and for errors.
        most: Threads.
        longest: Jobs that may wait while all threads are busy.
    """

    def __init__(self, name: str, most: int, longest: int) -> None:
        self.name, self.most, self.longest = name, most, longest
        self._is_over = False
        self._renew()
        at_exit(self._end)
        after_fork(self._renew)

    def submit(self, job: Callable[[], T]) -> "Future[T]":
        """The job's result to come; a job that has not begun can be cancelled.

        Raises:
            Overloaded: `longest` jobs wait, no thread can be started, or the interpreter ends.
        """
        if self._is_over:
            raise Overloaded(f"{self.name}: the interpreter ends, and no job is taken any more.")
        future: Future[T] = Future()
        self._crew.add(_Task(future, job))
        return future

    def close(self, seconds: float) -> bool:
        """Cancel what waits and end the threads; a later job starts new ones.

        Args:
            seconds: For the jobs under way; one that takes longer is left alone.

        Returns:
            Whether all threads have ended, and their connections with them.
        """
        crew = self._crew
        self._renew()
        return crew.end(seconds)

    def _renew(self) -> None:
        self._crew = _Crew(self)

    def _end(self) -> None:
        self._is_over = True
        self.close(max(0.0, _end_of_exit() - time.monotonic()))


@cache
def _end_of_exit() -> float:
    """When no more is waited; from the first call on, so that it is one for all workers."""
    return time.monotonic() + AT_EXIT


class _Task(NamedTuple):
    future: "Future[Any]"
    job: Callable[[], Any]


class _Crew:
    """Threads with one queue, until they are told to end."""

    def __init__(self, workers: Workers) -> None:
        # Kept alive by the threads, as its hook at exit is the one that ends them.
        self._workers = workers
        self._capacity = workers.most + workers.longest
        self._changed = threading.Condition()
        self._waiting: deque[_Task] = deque()
        self._threads: set[threading.Thread] = set()
        self._busy = 0
        self._is_over = False

    def add(self, task: _Task) -> None:
        with self._changed:
            if self._is_over or self._is_full():
                waiting = len(self._waiting)
                raise Overloaded(
                    f"{self._workers.name}: all threads are busy, and {waiting} jobs wait."
                )
            idle = len(self._threads) - self._busy
            if len(self._waiting) >= idle and len(self._threads) < self._workers.most:
                self._start()
            self._waiting.append(task)
            self._changed.notify()

    def end(self, seconds: float) -> bool:
        with self._changed:
            self._is_over = True
            waiting, self._waiting = self._waiting, deque()
            threads = list(self._threads)
            self._changed.notify_all()
        for task in waiting:
            task.future.cancel()
            task.future.set_running_or_notify_cancel()  # Who waits for several is told only now.
        until = time.monotonic() + seconds
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)

    def _is_full(self) -> bool:
        if self._busy + len(self._waiting) < self._capacity:
            return False
        # What nobody wants any more is in nobody's way.
        waiting, self._waiting = self._waiting, deque()
        for task in waiting:
            if task.future.cancelled():
                task.future.set_running_or_notify_cancel()
            else:
                self._waiting.append(task)
        return self._busy + len(self._waiting) >= self._capacity

    def _start(self) -> None:
        thread = threading.Thread(
            target=self._work, name=f"refcache-{self._workers.name}", daemon=True
        )
        self._threads.add(thread)
        try:
            thread.start()
        except RuntimeError as exc:  # No room for it, or (since Python 3.12) the interpreter ends.
            self._threads.discard(thread)
            raise Overloaded(f"{self._workers.name}: no thread can be started.") from exc

    def _work(self) -> None:
        try:
            while (task := self._next()) is not None:
                try:
                    _perform(task)
                finally:
                    # Deleted here and below, as a failed job's future, its error and the frames
                    # of that error's traceback would keep each other.
                    del task
                    with self._changed:
                        self._busy -= 1
        finally:
            for connection in connections.all(initialized_only=True):
                # Not close_all(): one that is lost already would keep the others open.
                with suppress(Error):
                    connection.close()

    def _next(self) -> _Task | None:
        """The next job, or None where the thread is to end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_over, IDLE)
            if self._waiting:
                self._busy += 1
                return self._waiting.popleft()
            self._threads.discard(threading.current_thread())
            return None


def _perform(task: _Task) -> None:
    if not task.future.set_running_or_notify_cancel():
        return
    try:
        close_old_connections()
        # An empty context: with the submitter's, the job would share what asgiref and others keep
        # there (clients of caches, a request's own executor, a span) with a request that may have
        # ended; and what it left there would meet the next job. Connections are the thread's.
        result = Context().run(task.job)
    except BaseException as exc:  # noqa: BLE001 - it comes out where the result is asked for
        task.future.set_exception(exc)
        del task
    else:
        task.future.set_result(result)
    with suppress(Error):
        close_old_connections()
