"""What this process sends to databases and Redis, by all of its threads, and what its relay did.

`shop.metering` counts what one request asks for. Here it is all, refreshes in the background too,
so that it can be held against what the servers have counted. Where `COUNTS_FOLDER` is set, the
counts are written to a file of the process's own there when it ends.
"""

import atexit
import json
import os
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from threading import Lock

import redis
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from refcache import references
from refcache.core.events import Event, Relayed

# What reads or writes rows; the servers' statistics are asked for these, too.
ROWS = re.compile(r"\s*(?:SELECT|INSERT|UPDATE|DELETE|WITH)\b", re.IGNORECASE)
VERB = re.compile(rb"\*\d+\r\n\$\d+\r\n(\w+)\r\n")

_lock = Lock()
_queries: Counter[str] = Counter()  # by database alias
_round_trips: Counter[str] = Counter()  # by the first command of what was sent at once
_lags: list[float] = []  # seconds, of each change that was relayed


class CountedConnection(redis.Connection):
    """Counts each time that commands are sent: one command, or a whole pipeline at once."""

    def send_packed_command(self, command: object, check_health: bool = True) -> None:  # noqa: FBT001, FBT002 - redis-py's own
        """Count it under the name of its first command."""
        start = command if isinstance(command, bytes) else next(iter(command), b"")
        if found := VERB.match(start):
            with _lock:
                _round_trips[found[1].decode().upper()] += 1
        super().send_packed_command(command, check_health)


def begin() -> None:
    """Count from now on."""
    connection_created.connect(_watch, dispatch_uid="real.counting")
    references.subscribe(_note)
    if folder := os.environ.get("COUNTS_FOLDER"):
        atexit.register(_write, Path(folder))


def _watch(connection: BaseDatabaseWrapper, **_: object) -> None:
    if _count not in connection.execute_wrappers:
        # In front: `execute_wrapper()` takes the last one off again, whosever that is.
        connection.execute_wrappers.insert(0, _count)


def _count(
    execute: Callable[..., object],
    sql: str,
    params: object,
    many: bool,  # noqa: FBT001 - Django's way to call it
    context: dict[str, BaseDatabaseWrapper],
) -> object:
    if ROWS.match(str(sql)):
        with _lock:
            _queries[context["connection"].alias] += 1
    return execute(sql, params, many, context)


def _note(event: Event) -> None:
    if isinstance(event, Relayed):
        with _lock:
            _lags.extend(event.lags)


def _write(folder: Path) -> None:
    program = os.environ["PROGRAM"]
    told = {"program": program, "queries": _queries, "redis": _round_trips, "lags": _lags}
    path = folder / f"{program}-{os.getpid()}.json"
    path.write_text(json.dumps(told))
