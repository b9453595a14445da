"""Web servers in processes of their own, and what is left of them at their end."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.request import urlopen
from uuid import uuid4

import redis
from django.db import connections

from tests.integration.watching import LIMIT
from tests.servers.addresses import free_port
from tests.servers.process import wait_until

PROC = Path("/proc")  # Linux's
OPEN = "SELECT client_port FROM pg_stat_activity WHERE application_name = %s"
INODE = re.compile(r"socket:\[(\d+)\]")


class Served:
    """A server that answers; `name` is that of all its connections."""

    def __init__(self, name: str, port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.name, self._port, self._process, self._log = name, port, process, log

    @property
    def pid(self) -> int:
        """Its first process."""
        return self._process.pid

    @property
    def pids(self) -> list[int]:
        """Its first process and all that were forked."""
        return [self.pid, *_descendants(self.pid)]

    @property
    def said(self) -> str:
        """All that its processes have written to stdout and stderr."""
        return self._log.read_text(errors="replace")

    def get(self, path: str) -> Any:
        with urlopen(f"http://127.0.0.1:{self._port}/{path}", timeout=LIMIT) as response:
            return json.load(response)

    def terminate(self) -> int:
        """Its exit status."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(LIMIT)

    def is_up(self) -> bool:
        assert self._process.poll() is None, self.said
        with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), LIMIT):
            return True
        return False


@contextmanager
def serving(log: Path, *command: str, **environ: str) -> Iterator[Served]:
    """A server, from when it takes connections; all its processes are gone when the block ends.

    Args:
        log: A file for what it says.
        command: A module and its arguments, in which `{port}` stands for the port.
        environ: Further variables.
    """
    name, port = new_name(), free_port()
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-X", "dev", "-m", *(part.format(port=port) for part in command)],
            env=environ_of(name) | environ,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that all it forks can be ended with it
        )
    served = Served(name, port, process, log)
    try:
        wait_until(served.is_up, LIMIT, lambda _: served.said)
        yield served
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(LIMIT)


def new_name() -> str:
    return f"served-{uuid4().hex}"


def environ_of(name: str) -> dict[str, str]:
    """For a process whose connections have that name, and whose keys begin with it."""
    return os.environ | {
        "DJANGO_SETTINGS_MODULE": "tests.integration.served.settings",
        "REFCACHE_TEST_NAME": name,
    }


def ports_at_redis(client: redis.Redis, name: str) -> list[int]:
    clients: Any = client.client_list()
    return [int(each["addr"].rpartition(":")[2]) for each in clients if each["name"] == name]


def ports_at_database(name: str) -> list[int]:
    with connections["default"].cursor() as cursor:
        cursor.execute(OPEN, [name])
        return [port for (port,) in cursor.fetchall()]


def wait_until_nothing_is_left(client: redis.Redis, name: str) -> None:
    """The servers hear of closed connections somewhat later than the processes end."""

    def left() -> list[int]:
        return ports_at_redis(client, name) + ports_at_database(name)

    wait_until(lambda: not left(), LIMIT, lambda _: f"left: {left()}")


def holders(port: int, pids: list[int]) -> list[int]:
    """Those of the processes that have the socket with this local port open."""
    lines = (PROC / "net/tcp").read_text().splitlines()[1:]
    columns = [line.split() for line in lines]
    inodes = {each[9] for each in columns if int(each[1].rpartition(":")[2], 16) == port}
    return [pid for pid in pids if inodes & _sockets(pid)]


def threads_of(pid: int) -> int:
    """How many the system knows, also those that Python does not."""
    return len(list((PROC / str(pid) / "task").iterdir()))


def _sockets(pid: int) -> set[str]:
    found = set()
    for each in (PROC / str(pid) / "fd").iterdir():
        with suppress(OSError):  # Closed meanwhile.
            found |= set(INODE.findall(str(each.readlink())))
    return found


def _descendants(pid: int) -> list[int]:
    children = (PROC / f"{pid}/task/{pid}/children").read_text().split()
    return [each for child in map(int, children) for each in (child, *_descendants(child))]
