"""A process that writes customers in a loop: python -m tests.faults.writing_process JSON.

Each commit is reported as [when, key, value]; values grow, over all keys. Whatever a write raised
that is no error of the database's is reported as text.
"""

import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from random import Random
from typing import Any

from django.db import Error, connections

from refcache import references
from tests.faults.commands import serve
from tests.faults.limits import LIMIT
from tests.faults.project import Project
from tests.faults.requests import after_statements, close_broken, page
from tests.servers.process import wait_until

# Between writes, so that most reads find what they ask for.
PACE = 0.02

Commit = tuple[float, int, int]


class Writing:
    """One writer, in a thread of its own.

    Args:
        model: Customer, which can be imported only now.
    """

    def __init__(self, project: Project, model: Any) -> None:
        self._project = project
        self._model = model
        self._random = Random(project.seed)  # noqa: S311 - it must be repeatable
        self._commits: list[Commit] = []
        self._errors: list[str] = []
        self._value = 0
        self._rests = threading.Event()
        self._writes = threading.Lock()
        self._thread = ThreadPoolExecutor(1)
        self._writer: Future[None] = Future()

    def begin(self) -> None:
        self._rests.clear()
        self._writer = self._thread.submit(self._write_on)

    def rest(self) -> tuple[list[Commit], list[str]]:
        """All commits until now, and all errors; no more of them until the next `begin`."""
        self._rests.set()
        self._writer.result(LIMIT)
        return self._commits, self._errors

    def settle(self) -> float:
        """A moment at which everything is released, and no write goes on that was not marked."""
        wait_until(self._is_settled, LIMIT)
        return time.monotonic()

    def _is_settled(self) -> bool:
        # What could not be marked is committed later, and only then released.
        with self._writes:
            return not len(references.recovery)

    def _write_on(self) -> None:
        while not self._rests.is_set():
            close_broken()
            self._value += 1
            with self._writes:
                self._write(self._random.randrange(self._project.keys), self._value)
            time.sleep(PACE)
        connections.close_all()

    def _write(self, key: int, value: int) -> None:
        def committed(sql: str, _: Any) -> None:
            # In autocommit, this is when others see it: earlier than `save` returns.
            if sql.startswith("UPDATE"):
                self._commits.append((time.monotonic(), key, value))

        try:
            with after_statements(committed):
                self._model(pk=key, value=value).save(force_update=True)
        except Error:
            # Committed or not: nobody is held to it.
            return
        except Exception as exc:  # noqa: BLE001 - whatever it is, a caller got it
            self._errors.append(f"{type(exc).__name__}: {exc}")


def main(project: Project) -> None:
    project.set_up()
    from tests.faults.models import Customer  # noqa: PLC0415 - after setup()

    writing = Writing(project, Customer)
    commands = {"begin": writing.begin, "rest": writing.rest, "settle": writing.settle}
    asked = {"page": lambda: page(range(project.keys)), "counts": references.counts.all}
    serve({**commands, **asked})


if __name__ == "__main__":
    main(Project.parse(sys.argv[1]))
