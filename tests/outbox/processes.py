"""Relays in processes of their own, as they run in production."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

from tests.servers.process import wait_until

LIMIT = 60.0  # seconds, for a loaded machine


class RelayProcess:
    """A relay that runs, and what it has said; errors and logs stand among the rest."""

    def __init__(self, alias: str, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.outbox.relaying_process", alias, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
        )
        self.lines: list[str] = []
        self._reader = Thread(target=self._read)
        self._reader.start()

    def says(self, text: str) -> bool:
        return any(text in line for line in self.lines)

    def wait_for(self, text: str) -> None:
        """Return when it has said so.

        Raises:
            ServerError: It did not within the limit.
        """
        wait_until(lambda: self.says(text), LIMIT, lambda _: f"no {text!r} in {self.lines}")

    def end(self, how: int) -> int:
        """Its exit status after that signal."""
        self._process.send_signal(how)
        status = self._process.wait(LIMIT)
        self._reader.join(LIMIT)
        return status

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(LIMIT)
        self._reader.join(LIMIT)

    def _read(self) -> None:
        assert self._process.stdout
        with self._process.stdout as lines:
            self.lines.extend(lines)


@contextmanager
def relaying(alias: str, *arguments: str) -> Iterator[RelayProcess]:
    """A relay that serves when the block begins, and is gone when it has ended."""
    process = RelayProcess(alias, *arguments)
    try:
        process.wait_for("Serving")
        yield process
    finally:
        process.kill()
