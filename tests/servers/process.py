"""One server process: started, waited for, hurt, and always ended."""

import contextlib
import os
import pwd
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tools.servers import Program

# What a loaded machine needs to start a server, several times over.
START_LIMIT = 30.0
STOP_LIMIT = 30.0


class ServerError(Exception):
    """A server did not do what a test bed needs; says what it last wrote."""


class ServerProcess:
    """A program that runs in the foreground, with a folder of its own.

    As root it runs as another user, since PostgreSQL and MariaDB refuse to be root.
    """

    def __init__(self, program: Program, folder: Path) -> None:
        self.program = program
        self.folder = folder
        self.log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(exist_ok=True)
        if account := _account():
            os.chown(folder, account.pw_uid, account.pw_gid)

    @property
    def pid(self) -> int:
        """The process's id; only while it runs."""
        assert self._process
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has been started and has not ended since, by itself or otherwise."""
        return self._process is not None and self._process.poll() is None

    def run(self, name: str, *arguments: str, told: Path | None = None) -> None:
        """Run the server's own program, or one that lies beside it, to its end.

        Args:
            name: The program's.
            arguments: The program's.
            told: A file that it reads from its standard input.
        """
        self._spawn(self.program.path.with_name(name), arguments, told)
        assert self._process
        if self._process.wait(START_LIMIT):
            raise ServerError(self._report(f"{name} failed"))

    def start(self, arguments: Sequence[str], is_ready: Callable[[], bool]) -> None:
        """Start the server; it is ready when this returns."""
        assert not self.is_running
        self._spawn(self.program.path, arguments)
        wait_until(lambda: is_ready() or not self.is_running, START_LIMIT, self._report)
        if not self.is_running:
            raise ServerError(self._report("ended while it started"))

    def end(self, how: signal.Signals) -> None:
        """Send a signal that ends it, and wait until it has ended."""
        if not self.is_running:
            return
        assert self._process
        self._process.send_signal(how)
        # A paused process ends only when it goes on.
        self.signal(signal.SIGCONT)
        self._process.wait(STOP_LIMIT)

    def signal(self, which: signal.Signals) -> None:
        """Send a signal to it and to those that it has forked."""
        for pid in [self.pid, *_children(self.pid)]:
            # A child may have ended meanwhile.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, which)

    def _spawn(self, path: Path, arguments: Sequence[str], told: Path | None = None) -> None:
        account = _account()
        with self.log.open("ab") as log, (told or Path(os.devnull)).open("rb") as read:
            self._process = subprocess.Popen(
                [path, *arguments],
                cwd=self.folder,
                env=self.program.environ(),
                stdin=read,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C is for pytest, which ends the servers itself.
                start_new_session=True,
                user=account.pw_uid if account else None,
                group=account.pw_gid if account else None,
                extra_groups=[] if account else None,
            )

    def _report(self, what: str) -> str:
        last = "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])
        return f"{self.program.path} in {self.folder}: {what}. It last wrote:\n{last}"


def wait_until(
    holds: Callable[[], bool],
    limit: float,
    report: Callable[[str], str] = str,
) -> None:
    """Return as soon as it holds.

    Raises:
        ServerError: It did not within *limit* seconds.
    """
    end = time.monotonic() + limit
    while not holds():
        if time.monotonic() > end:
            raise ServerError(report(f"not ready after {limit:g} seconds"))
        # Another process's state has no event to wait for.
        time.sleep(0.01)


def _account() -> pwd.struct_passwd | None:
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def _children(pid: int) -> list[int]:
    # Only Linux tells; elsewhere PostgreSQL's backends are not paused with it.
    listing = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in listing.read_text().split()] if listing.exists() else []
