"""Code versions in processes of their own: each is told what to do, a line at a time."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from select import select
from typing import Any, NamedTuple

from tests.integration.serving import environ_of
from tests.integration.watching import LIMIT


class Page(NamedTuple):
    """What a version read: its fields by key, and how many rows the database gave."""

    rows: dict[int, dict[str, Any]]
    loads: int


class Version:
    """A process that runs one version of the code."""

    def __init__(self, version: str, process: "subprocess.Popen[str]") -> None:
        self.version, self._process = version, process

    def read(self, *keys: int) -> Page:
        rows, loads = self.ask("read", list(keys))
        return Page({int(key): row for key, row in rows}, loads)

    def write(self, key: int, **values: Any) -> None:
        self.ask("write", key, values)

    def ask(self, *command: Any) -> Any:
        """Its answer."""
        self.tell(*command)
        return self.hear()

    def tell(self, *command: Any) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()

    def hear(self) -> Any:
        out = self._process.stdout
        assert out
        assert select([out], [], [], LIMIT)[0], f"{self.version} says nothing"
        line = out.readline()
        assert line, f"{self.version} has ended"
        return json.loads(line)

    def end(self) -> str:
        """What it has complained of."""
        _, errors = self._process.communicate(timeout=LIMIT)
        return errors if self._process.returncode == 0 else f"{errors}: {self._process.returncode}"


@contextmanager
def deployed(name: str, *versions: str, may_say: str = "") -> Iterator[list[Version]]:
    """Processes that run these versions, started together.

    None has complained at the end, but in lines that begin with *may_say*.
    """
    with ExitStack() as stack:
        started = [stack.enter_context(_process(name, version)) for version in versions]
        for each in started:
            assert each.hear() == "ready"
        yield started
        said = [line for each in started for line in each.end().splitlines()]
        assert [line for line in said if not (may_say and line.startswith(may_say))] == []


@contextmanager
def _process(name: str, version: str) -> Iterator[Version]:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.integration.deployed", version],
        env=environ_of(name),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Version(version, process)
        finally:
            process.kill()
