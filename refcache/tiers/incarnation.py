"""Which server a connection leads to: asked once per connection, at the end of its handshake."""

import logging
import re
from collections.abc import Callable
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

import redis

from refcache.core.events import Event, ServerChanged

UNKNOWN = 0  # a fake, or a server that does not tell

RUN_ID = re.compile(rb"run_id:([0-9a-f]{12})")  # 48 of its 160 bits
QUESTION = ("INFO", "server")

logger = logging.getLogger("refcache")

Connection = Any  # redis-py's, of either kind; they share no base
Handshake = Callable[[Connection], object]


def log_change(event: Event) -> None:
    logger.warning("%r", event)


class Incarnations:
    """The incarnation of each connection's server, and the one that was seen last.

    One round trip per new connection. It is an id of the server's process: another one after a
    restart and after a failover.

    Args:
        emit: Is told of `ServerChanged`, once per change.
    """

    def __init__(self, emit: Callable[[Event], None] = log_change) -> None:
        self._emit = emit
        self._latest = UNKNOWN
        self._known: WeakKeyDictionary[Connection, int] = WeakKeyDictionary()
        self._lock = Lock()

    def of(self, connection: Connection) -> int:
        return self._known.get(connection, UNKNOWN)

    def is_former(self, connection: Connection) -> bool:
        """Whether it was opened to a server that is not the one seen last."""
        known = self.of(connection)
        return known not in (UNKNOWN, self._latest)

    def greeting(self, handshake: Handshake | None = None) -> Handshake:
        """A `redis_connect_func`: the project's own handshake, or redis-py's, and the question."""

        def greet(connection: Connection) -> None:
            try:
                handshake(connection) if handshake else connection.on_connect()
                self._note(connection, _asked(connection))
            except BaseException:
                # redis-py would keep it, half greeted, unless the error is one of its own.
                connection.disconnect()
                raise

        return greet

    async def agreet(self, connection: Connection) -> None:
        """The `redis_connect_func` of an event loop's connections."""
        try:
            await connection.on_connect()
            self._note(connection, await _awaited(connection))
        except BaseException:
            await connection.disconnect(nowait=True)
            raise

    def _note(self, connection: Connection, incarnation: int) -> None:
        self._known[connection] = incarnation
        if incarnation == UNKNOWN:
            return
        with self._lock:
            before, self._latest = self._latest, incarnation
        if before not in (UNKNOWN, incarnation):
            self._emit(ServerChanged("", before, incarnation))


def _asked(connection: Connection) -> int:
    connection.send_command(*QUESTION, check_health=False)
    try:
        return incarnation_of(connection.read_response())
    except redis.ResponseError:  # It does not know the command, or does not allow it.
        return UNKNOWN


async def _awaited(connection: Connection) -> int:
    await connection.send_command(*QUESTION, check_health=False)
    try:
        return incarnation_of(await connection.read_response())
    except redis.ResponseError:
        return UNKNOWN


def incarnation_of(info: object) -> int:
    """The first 48 bits of the run id in the reply to `INFO server`; 0 where there is none."""
    raw = info.encode() if isinstance(info, str) else info
    found = RUN_ID.search(raw) if isinstance(raw, bytes) else None
    return int(found[1], 16) if found else UNKNOWN
