"""The folder that a run's servers live in, removed with all that runs there, however it ends."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

# For a loaded machine that has to remove two PostgreSQL clusters.
LIMIT = 60.0


class Bed:
    """A temporary folder, watched by a process of its own.

    The watcher waits for the end of this process, and cleans up even after a SIGKILL.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="refcache-"))
        # Servers that run as another user must get through to their own folders.
        self.folder.chmod(0o711)
        self._watcher = subprocess.Popen(
            [sys.executable, __file__, self.folder],
            stdin=subprocess.PIPE,
            # Ctrl-C at the terminal is not for the watcher.
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._watcher.stdin
        self._watcher.stdin.close()
        self._watcher.wait(LIMIT)


def _watch(folder: Path) -> None:
    # Nothing is ever written: this returns when the last writer is gone.
    sys.stdin.read()
    for pid in _running_in(folder):
        os.kill(pid, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


def _running_in(folder: Path) -> list[int]:
    # Only Linux tells; elsewhere the fixtures' own ends have to do.
    return [int(entry.name) for entry in Path("/proc").glob("[0-9]*") if _is_in(folder, entry)]


def _is_in(folder: Path, process: Path) -> bool:
    try:
        return (process / "cwd").readlink().is_relative_to(folder)
    except OSError:
        # It has ended, or is another user's.
        return False


if __name__ == "__main__":
    _watch(Path(sys.argv[1]))
