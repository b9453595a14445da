"""Where this run's servers answer; decided before any is started, as settings need it."""

import fcntl
import os
import socket
import tempfile
from dataclasses import astuple, dataclass
from functools import cache
from itertools import count, islice
from pathlib import Path

VARIABLE = "REFCACHE_TEST_PORTS"
# Where the database `sqlite` is; the bed that it lies in is made after the settings are read.
SQLITE_VARIABLE = "REFCACHE_TEST_SQLITE"

# Below the range that Linux takes the ports of outgoing connections from (32768 on), so that a
# server that is down for a while finds its port still free.
PORTS = range(20_000, 32_000)

# Where each process begins to look. Chance would not do: pytest-randomly gives all of them the
# same.
_numbers = count(os.getpid() * 16)
_reserved: set[int] = set()


@dataclass(frozen=True, slots=True)
class Addresses:
    """The ports of one run's servers, on 127.0.0.1."""

    redis: int
    application: int
    events: int
    mariadb: int

    def hand_on(self) -> None:
        """Let processes that are started from now on find the same servers.

        Only called once they run: the workers of pytest-xdist are started before, and
        each has servers of its own.
        """
        os.environ[VARIABLE] = " ".join(map(str, astuple(self)))


@cache
def addresses() -> Addresses:
    """Return the addresses handed on by the process that started this one, else new ones."""
    if handed_on := os.environ.get(VARIABLE):
        return Addresses(*map(int, handed_on.split()))
    return Addresses(
        redis=free_port(), application=free_port(), events=free_port(), mariadb=free_port()
    )


def free_port(*further: int) -> int:
    """Return a port of 127.0.0.1 that nobody listens on, another one each time.

    It is this process's until it ends: no other run or worker is given it meanwhile, even while
    the server is down.

    Args:
        further: How far above it the ports are that the server listens on as well.
    """
    ports = range(PORTS.start, PORTS.stop - max(further, default=0))
    for number in islice(_numbers, len(ports)):
        port = ports[number % len(ports)]
        if all(_reserve(port + above) for above in (0, *further)):
            return port
    raise RuntimeError(f"No port from {ports.start} to {ports.stop - 1} is free.")


def _reserve(port: int) -> bool:
    try:
        # The system gives the lock of a byte to one process, and takes it back at its end.
        fcntl.lockf(_reservations(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    # A process has its own locks for the asking.
    is_new = port not in _reserved
    _reserved.add(port)
    return is_new and _is_free(port)


@cache
def _reservations() -> int:
    """A file with a byte for each port; never closed, which would give up all locks."""
    path = Path(tempfile.gettempdir(), f"refcache-test-ports-{os.getuid()}")
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # Like a server's own: a connection that has just been closed does not matter.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
