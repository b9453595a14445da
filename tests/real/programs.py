"""The programs of a run: the relay, two web processes, two writers; each ended with the run."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from tests.real.servers import Servers
from tests.servers.process import wait_until
from tools.servers import ROOT

EXAMPLE = ROOT / "example"
LIMIT = 60.0  # seconds to start or to end, on a loaded machine
# As docker-compose.yml says it, but for the port.
GUNICORN = ("--workers=1", "--threads=4", "--keep-alive=65", "--graceful-timeout=10")
RELAY = ("django", "refcache_relay")
PREPARE = ("real.prepare",)


class ProgramError(Exception):
    """A program has ended, or does not: says what it last wrote."""


@dataclass(slots=True)
class Site:
    """Where the programs of a run live, and what they find there.

    Args:
        folder: Of the run, in which they work, so that nothing of it outlives the run.
    """

    folder: Path
    servers: Servers

    @property
    def counts(self) -> Path:
        """A folder to which each program writes, at its end, what it has sent."""
        return self.folder / "counts"

    def run(self, *command: str) -> None:
        """Run a module to its end, as the owner of the tables."""
        with self.program("prepare", "refcache", *command) as program:
            program.wait()

    @contextmanager
    def program(self, name: str, role: str, *command: str, **environ: str) -> Iterator["Program"]:
        """A module that runs, from when it is started on; it is told to end with the block."""
        log = self.folder / f"{name}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=self.folder,
                env=os.environ | self.servers.environ(role) | self._environ(name) | environ,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the run, which ends them in order.
            )
        program = Program(name, process, log)
        try:
            yield program
            program.end()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(LIMIT)

    def _environ(self, name: str) -> dict[str, str]:
        return {
            "COUNTS_FOLDER": str(self.counts),
            "DJANGO_SETTINGS_MODULE": "real.settings",
            "PROGRAM": name,
            "PYTHONPATH": os.pathsep.join(map(str, (EXAMPLE, ROOT))),
        }


@dataclass(slots=True)
class Program:
    """One process; `said` is all that it has written."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def wait(self) -> None:
        """Return when it has ended.

        Raises:
            ProgramError: It has failed.
        """
        try:
            status = self.process.wait(LIMIT)
        except subprocess.TimeoutExpired as exc:
            raise ProgramError(f"{self.name} does not end. It wrote:\n{self.said}") from exc
        if status:
            raise ProgramError(f"{self.name} ended with {status}. It wrote:\n{self.said}")

    def end(self) -> None:
        """Tell it to end, and wait until it has; it has to end in order."""
        self.process.send_signal(signal.SIGTERM)
        self.wait()

    def check(self) -> None:
        """Raise `ProgramError` if it has ended."""
        if self.process.poll() is not None:
            raise ProgramError(f"{self.name} has ended. It wrote:\n{self.said}")

    def wait_until_it_says(self, words: str) -> None:
        def says() -> bool:
            self.check()
            return words in self.said

        wait_until(says, LIMIT, lambda _: f"{self.name}: {self.said}")

    def wait_until_it_serves(self, port: int) -> None:
        def serves() -> bool:
            self.check()
            with suppress(OSError, HTTPException):
                connection = HTTPConnection("127.0.0.1", port, timeout=LIMIT)
                connection.request("GET", "/health/")
                return connection.getresponse().status == 200
            return False

        wait_until(serves, LIMIT, lambda _: f"{self.name}: {self.said}")


def gunicorn(port: int) -> tuple[str, ...]:
    """A web process's module and its arguments."""
    return ("gunicorn", "real.wsgi", f"--bind=127.0.0.1:{port}", *GUNICORN)
