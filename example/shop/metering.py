"""What a page costs: queries to each database, and round trips to Redis.

Everything is counted where it leaves the process: a query in Django's `execute_wrapper`, a round
trip in the connection class that redis-py sends through. All of it for the one who asks only: in
the calling thread, and in the threads and tasks that work for it.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

import redis
from django.db import connections
from fakeredis import FakeRedisConnection


class _Counted:
    """Counts each time that commands are sent: one command, or a whole pipeline at once."""

    def send_packed_command(self, *args: object, **kwargs: object) -> None:
        for cost in _measuring.get():
            cost.round_trips += 1
        super().send_packed_command(*args, **kwargs)


class EmbeddedConnection(_Counted, FakeRedisConnection):
    """To the Redis that fakeredis plays in this process."""


class TCPConnection(_Counted, redis.Connection):
    """To `redis://`."""


class TLSConnection(_Counted, redis.SSLConnection):
    """To `rediss://`."""


class SocketConnection(_Counted, redis.UnixDomainSocketConnection):
    """To `unix://`."""


def connection_class_for(url: str) -> type[redis.connection.AbstractConnection]:
    """Give the counting connection class for the scheme of *url*.

    Raises:
        KeyError: The scheme is none that redis-py knows, nor `embedded`.
    """
    return {
        "embedded": EmbeddedConnection,
        "redis": TCPConnection,
        "rediss": TLSConnection,
        "unix": SocketConnection,
    }[url.partition("://")[0]]


@dataclass
class Cost:
    """Queries per database alias, and round trips to Redis."""

    queries: Counter[str] = field(default_factory=Counter)
    round_trips: int = 0

    def __str__(self) -> str:
        """Read as one line, for a response header."""
        return (
            f"queries to A: {self.queries['events']}, queries to B: {self.queries['default']}, "
            f"Redis round trips: {self.round_trips}"
        )


@contextmanager
def measured() -> Iterator[Cost]:
    """Count what this thread asks for until the block ends; blocks may be nested."""
    cost = Cost()
    outer = _measuring.set((*_measuring.get(), cost))
    try:
        with ExitStack() as stack:
            for connection in connections.all():
                stack.enter_context(connection.execute_wrapper(_count_into(cost, connection.alias)))
            yield cost
    finally:
        _measuring.reset(outer)


# What is being measured now, the outermost first.
_measuring: ContextVar[tuple[Cost, ...]] = ContextVar("measuring", default=())


def _count_into(cost: Cost, alias: str) -> Callable[..., object]:
    def count(execute: Callable[..., object], *args: object) -> object:
        cost.queries[alias] += 1
        return execute(*args)

    return count
