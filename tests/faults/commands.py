"""Between the test and its processes: a line of JSON asks, a line of JSON answers."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from select import select
from types import TracebackType
from typing import Any, Self

from tests.faults.limits import LIMIT
from tests.faults.project import Project
from tests.servers.process import START_LIMIT


def serve(commands: Mapping[str, Callable[[], Any]]) -> None:
    """In a process: answer until whoever asks is gone."""
    _say("ready")
    for line in sys.stdin:
        _say(commands[json.loads(line)]())
    # Threads that still read or write would keep the process alive.
    os._exit(0)


def _say(answer: Any) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


class ProcessSilent(Exception):
    """A process of the suite has died, or does not answer."""


class Served:
    """A process that serves commands; killed at the end of the block.

    Args:
        module: Of `tests.faults`, whose `main` serves.
    """

    def __init__(self, module: str, project: Project) -> None:
        self._module = module
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"tests.faults.{module}", project.text()],
            # Settings of the tests are not these processes'.
            env={name: os.environ[name] for name in os.environ if name[:7] != "DJANGO_"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def ready(self) -> None:
        """Wait until it serves."""
        self._heard(START_LIMIT)

    def tell(self, command: str) -> None:
        """Ask for something whose answer is awaited later, by `hear`."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        self._process.stdin.flush()

    def hear(self) -> Any:
        return self._heard(LIMIT)

    def ask(self, command: str) -> Any:
        self.tell(command)
        return self.hear()

    def _heard(self, limit: float) -> Any:
        assert self._process.stdout
        # Each command has one answer, so that nothing of it is left in the buffer.
        readable, _, _ = select([self._process.stdout], [], [], limit)
        line = self._process.stdout.readline() if readable else b""
        if not line:
            what = "ended" if readable else f"did not answer within {limit:g} seconds"
            raise ProcessSilent(f"{self._module} {what}")
        return json.loads(line)
