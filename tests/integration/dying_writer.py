"""A process that forks writers, each of which stops at steps of its write.

python -m tests.integration.dying_writer WRITE_TIMEOUT

Reads an order per line. For each it forks a writer, prints "stopped" as often as that stops, and
does what the next line then says: "kill" or "go on". Of its end it prints "ended" or "failed". It
opens no connection itself.
"""

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from itertools import count
from types import FrameType
from typing import Any

import django
from django.conf import settings

ENDS = ("_commit", "_rollback")  # of Django's connections: no statement tells of them

Step = Callable[[], None]


class Steps:
    """Stops this process at each step from *first* to *last*, counted from 0."""

    def __init__(self, first: int, last: int) -> None:
        self._numbers = count()
        self._stops = range(first, last + 1)

    def __call__(self) -> None:
        if next(self._numbers) in self._stops:
            os.kill(os.getpid(), signal.SIGSTOP)

    def around(self, act: Callable[..., Any]) -> Callable[..., Any]:
        def acting(*arguments: Any) -> Any:
            self()
            result = act(*arguments)
            self()
            return result

        return acting


class Stepping:
    """A store with a step before and after each operation."""

    def __init__(self, below: Any, steps: Steps) -> None:
        self.perform = steps.around(below.perform)
        self.aperform = below.aperform


def main(write_timeout: float) -> None:
    settings.REFCACHE = {**settings.REFCACHE, "WRITE_TIMEOUT": write_timeout}
    for line in sys.stdin:
        writer = os.fork()
        if not writer:
            _write_and_exit(json.loads(line))
        while os.WIFSTOPPED(status := os.waitpid(writer, os.WUNTRACED)[1]):
            _say("stopped")
            is_kill = sys.stdin.readline() == "kill\n"
            os.kill(writer, signal.SIGKILL if is_kill else signal.SIGCONT)
        _say("failed" if os.WIFEXITED(status) and os.WEXITSTATUS(status) else "ended")


def _write_and_exit(order: dict[str, Any]) -> None:
    try:
        _write(**order)
    except BaseException:  # noqa: BLE001 - the fork must not go on as its parent
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _write(
    *,
    alias: str,
    write: str,
    pks: list[int],
    prefix: str,
    first: int,
    last: int,
    lines: bool,
    without: str,
) -> None:
    """Write rows in one of the ways.

    Args:
        alias: The database.
        write: The way.
        pks: The rows.
        prefix: Of the entries.
        first: The step to stop at for the first time.
        last: And for the last time.
        lines: Each line of code is a step; else what goes to the servers.
        without: The guard that is left out.
    """
    from django.db import connections  # noqa: PLC0415 - after setup()

    from refcache import ReferenceCache  # noqa: PLC0415
    from refcache.conf import conf  # noqa: PLC0415
    from refcache.connections import Place, place_of  # noqa: PLC0415
    from tests.integration.killed_writes import WRITES, answers, register  # noqa: PLC0415
    from tests.soak.broken import STORES  # noqa: PLC0415

    steps, store = Steps(first, last), place_of(conf()).store
    if without:
        store = STORES[without](store)
    store = store if lines else Stepping(store, steps)
    # Kept by its name: Django's signals do not keep it.
    registry = ReferenceCache(Place(store, prefix.encode()))
    register(registry, alias)
    connections[alias].ensure_connection()
    if lines:
        answers(registry, pks)  # What is made at the first use is no part of the write.
        _trace(steps)
    else:
        _wrap(connections[alias], steps)
    WRITES[write](alias, pks)
    sys.settrace(None)
    assert registry


def _wrap(connection: Any, steps: Steps) -> None:
    connection.execute_wrappers.append(steps.around(_execute))
    for name in ENDS:
        setattr(connection, name, steps.around(getattr(connection, name)))


def _execute(execute: Callable[..., Any], *arguments: Any) -> Any:
    return execute(*arguments)


def _trace(step: Step) -> None:
    """Make a step of each line of refcache and of Django's database layer."""
    folders = tuple(_folders())

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if not frame.f_code.co_filename.startswith(folders):
            return None
        if event == "line":
            step()
        return trace

    sys.settrace(trace)


def _folders() -> list[str]:
    import django.db  # noqa: PLC0415 - after setup()

    import refcache  # noqa: PLC0415

    return [*refcache.__path__, *django.db.__path__]


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    django.setup()
    main(float(sys.argv[1]))
