"""A Redis server of the tests' own."""

import signal
import socket
from pathlib import Path

from tests.servers.process import ServerProcess
from tools.servers import Program

# For an answer from the same machine.
ANSWER_LIMIT = 1.0


class RedisServer:
    """A redis-server on a port of its own; it saves only when told to (SAVE)."""

    def __init__(self, program: Program, folder: Path, port: int, *options: str) -> None:
        self.port = port
        self._options = options
        self.process = ServerProcess(program, folder)

    @property
    def url(self) -> str:
        """The URL of its database 0."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def dump(self) -> Path:
        """The file that SAVE writes and a start reads."""
        return self.process.folder / "dump.rdb"

    def start(self) -> None:
        """Start it; it answers when this returns."""
        own = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self.process.start([*own, *self._options], self._answers)

    def stop(self) -> None:
        """End it in order."""
        self.process.end(signal.SIGTERM)

    def kill(self) -> None:
        """End it with SIGKILL."""
        self.process.end(signal.SIGKILL)

    def pause(self) -> None:
        """Let it hang: connections are accepted, nothing is answered."""
        self.process.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after a pause."""
        self.process.signal(signal.SIGCONT)

    def mend(self) -> None:
        """Undo what a test did to it."""
        self.dump.unlink(missing_ok=True)
        if not self.process.is_running:
            self.start()
            return
        self.resume()

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), ANSWER_LIMIT) as connection:
                connection.sendall(b"PING\r\n")
                # Else it says -LOADING, or -MASTERDOWN.
                return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False
