"""When the relay looks again: soon, when the database says so, and at once when it is to stop."""

import select
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from refcache.outbox.postgresql import CHANNEL


class Stop:
    """Tells several threads to stop; may be set by a signal handler."""

    def __init__(self) -> None:
        self.is_set = False
        # Never read, so that all who wait for it are woken, whenever they come.
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)  # noqa: FBT003 - it takes no keyword

    def set(self, *_: object) -> None:
        self.is_set = True
        with suppress(BlockingIOError):
            self._writer.send(b"\0")

    def wait(self, timeout: float, more: Sequence[int] = ()) -> None:
        """Return when it is set, one of *more* can be read, or after *timeout* seconds."""
        if not self.is_set:
            poll = select.poll()  # Other than select(), it takes any file descriptor.
            for each in (self._reader.fileno(), *more):
                poll.register(each, select.POLLIN)
            poll.poll(timeout * 1000)

    def close(self) -> None:
        self._reader.close()
        self._writer.close()


class Ear:
    """Listens for NOTIFY on a relay's own connection, where that can be done.

    Other drivers than psycopg 3, and other databases, are deaf: their relay polls.
    """

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._connection = connection
        self._raw: Any = None
        self._has_heard = False

    @property
    def is_deaf(self) -> bool:
        return self._raw is None

    def listen(self) -> None:
        """Be told of what commits from now on; harmless when repeated."""
        self._connection.ensure_connection()
        raw: Any = self._connection.connection
        if raw is self._raw or not hasattr(raw, "add_notify_handler"):
            return
        with self._connection.cursor() as cursor:
            cursor.execute(f"LISTEN {CHANNEL}")
        raw.add_notify_handler(self._hear)
        self._raw = raw

    def wait(self, timeout: float, stop: Stop) -> None:
        """Return when something was heard since `listen`, or the last wait; else as `Stop.wait`."""
        if self.is_deaf:
            stop.wait(timeout)
            return
        # What came with the answer to the last statement makes nothing readable any more.
        self._consume()
        if not self._has_heard:
            stop.wait(timeout, [self._raw.fileno()])
            self._consume()
        self._has_heard = False

    def _consume(self) -> None:
        with self._connection.wrap_database_errors:
            self._raw.pgconn.consume_input()
        while self._raw.pgconn.notifies() is not None:
            self._has_heard = True

    def _hear(self, _: object) -> None:
        self._has_heard = True
