"""A process whose threads all read the same keys at once: python -m tests.faults.herd_process JSON.

It reports its reads as [began, ended, how many keys were answered], and its loads, on whatever
thread they ran, as [began, ended, rows, keys].
"""

import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from refcache import references
from tests.faults.commands import serve
from tests.faults.limits import LIMIT
from tests.faults.project import REFERENCE, Project

Answer = tuple[float, float, int]
Load = tuple[float, float, int, list[int]]


class Herd:
    """Threads, each of which keeps its connection to the database."""

    def __init__(self, project: Project) -> None:
        self._size = project.readers
        self._threads = ThreadPoolExecutor(self._size)
        self._barrier = Barrier(self._size)
        self._loads: list[Load] = []
        # The first half of them; the others are for what is made on the first use.
        self._cold, self._others = range(project.keys // 2), range(project.keys // 2, project.keys)
        connection_created.connect(self._watch)

    def warm_up(self) -> None:
        self._read_in_all(self._others)
        self._loads.clear()

    def read(self) -> tuple[list[Answer], list[Load]]:
        answers = self._read_in_all(self._cold)
        return answers, self._loads

    def end(self) -> None:
        """Close each thread's connection."""

        def close() -> None:
            self._barrier.wait(LIMIT)
            connections.close_all()

        for each in [self._threads.submit(close) for _ in range(self._size)]:
            each.result(LIMIT)

    def _read_in_all(self, keys: Sequence[int]) -> list[Answer]:
        answers = [self._threads.submit(self._read, keys) for _ in range(self._size)]
        return [answer.result(LIMIT) for answer in answers]

    def _read(self, keys: Sequence[int]) -> Answer:
        connections["default"].ensure_connection()
        # Each thread of the pool takes one, as nobody goes on before all have come.
        self._barrier.wait(LIMIT)
        began = time.monotonic()
        found = references[REFERENCE].get_many(keys)
        return began, time.monotonic(), len(found)

    def _watch(self, *, connection: BaseDatabaseWrapper, **_: object) -> None:
        if self._record not in connection.execute_wrappers:
            connection.execute_wrappers.append(self._record)

    def _record(
        self,
        execute: Callable[..., Any],
        sql: str,
        params: Any,
        many: bool,  # noqa: FBT001 - Django's
        context: dict[str, Any],
    ) -> Any:
        began = time.monotonic()
        result = execute(sql, params, many, context)
        if '"customer"' in sql:
            rows = context["cursor"].rowcount
            self._loads.append((began, time.monotonic(), rows, list(params)))
        return result


def main(project: Project) -> None:
    project.set_up()
    herd = Herd(project)
    serve({"warm up": herd.warm_up, "read": herd.read, "end": herd.end})


if __name__ == "__main__":
    main(Project.parse(sys.argv[1]))
