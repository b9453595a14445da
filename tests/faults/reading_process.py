"""A process that reads pages of customers in a loop: python -m tests.faults.reading_process JSON.

Each read is reported as [began, ended, [[key, value or None], …], whether any was said to be stale,
error]; an error begins with its class. Times are of `time.monotonic`, one clock for all processes
of a Linux machine.
"""

import asyncio
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from random import Random
from typing import Any

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.db import connections

from refcache import references
from refcache.lookup import Lookup
from tests.faults.commands import serve
from tests.faults.feeling import PAGE, Feeling
from tests.faults.limits import LIMIT
from tests.faults.project import REFERENCE, Project
from tests.faults.requests import Values, close_broken, page

# Between reads: they are the more alike the fewer compete for the machine's cores.
PACE = 0.01

Read = tuple[float, float, Values, bool, str | None]


class Reading:
    """Readers in threads of their own, or coroutines in one."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._reads: list[Read] = []
        self._is_over = threading.Event()
        self._threads = ThreadPoolExecutor(project.readers)
        self._readers: list[Future[None]] = []

    def begin(self) -> None:
        self._is_over.clear()
        if self._project.awaits:
            self._readers = [self._threads.submit(lambda: asyncio.run(self._await_all()))]
            return
        self._readers = [
            self._threads.submit(self._read_on, place) for place in range(self._project.readers)
        ]

    def end(self) -> list[Read]:
        """All reads; nobody reads any more."""
        self._is_over.set()
        for reader in self._readers:
            reader.result(LIMIT)
        return self._reads

    def _random(self, place: int) -> Random:
        return Random(f"{self._project.seed} {place}")  # noqa: S311 - it must be repeatable

    def _pick(self, random: Random) -> list[int]:
        return random.sample(range(self._project.keys), PAGE)

    def _read_on(self, place: int) -> None:
        random = self._random(place)
        while not self._is_over.is_set():
            close_broken()
            keys, began, error = self._pick(random), time.monotonic(), None
            found: Any = {}
            try:
                found = references[REFERENCE].lookup(keys, on_missing="omit")
            except Exception as exc:  # noqa: BLE001 - whatever it is, a caller got it
                error = f"{type(exc).__name__}: {exc}"
            self._note(began, keys, found, error)
            time.sleep(PACE)
        connections.close_all()

    async def _await_all(self) -> None:
        await asyncio.gather(*map(self._await_on, range(self._project.readers)))

    async def _await_on(self, place: int) -> None:
        random = self._random(place)
        # As for a request: a thread, and so connections, of its own.
        async with ThreadSensitiveContext():
            while not self._is_over.is_set():
                await sync_to_async(close_broken)()
                keys, began, error = self._pick(random), time.monotonic(), None
                found: Any = {}
                try:
                    found = await references[REFERENCE].aget_many(keys)
                except Exception as exc:  # noqa: BLE001 - as above
                    error = f"{type(exc).__name__}: {exc}"
                self._note(began, keys, found, error)
                await asyncio.sleep(PACE)
            await sync_to_async(connections.close_all)()

    def _note(self, began: float, keys: list[int], found: Any, error: str | None) -> None:
        ended = time.monotonic()
        values = [(key, found[key].value if key in found else None) for key in keys]
        is_stale = isinstance(found, Lookup) and any(found.provenance(key).stale for key in found)
        self._reads.append((began, ended, [] if error else values, is_stale, error))


def main(project: Project) -> None:
    project.set_up()
    reading, feeling = Reading(project), Feeling()
    commands = {"begin": reading.begin, "end": reading.end, "counts": feeling.counts}
    serve({**commands, "page": lambda: page(range(project.keys))})


if __name__ == "__main__":
    main(Project.parse(sys.argv[1]))
