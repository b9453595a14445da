"""A Redis server of the tests' own."""

import signal
import socket
from pathlib import Path

from tests.servers.server import Server
from tools.servers import Program

# For an answer from the same machine.
ANSWER_LIMIT = 1.0

# How far above its port a node of a cluster talks to the others.
CLUSTER_BUS = 10_000


class RedisServer(Server):
    """A redis-server on a port of its own; it saves only when told to (SAVE)."""

    def __init__(self, program: Program, folder: Path, port: int, *options: str) -> None:
        super().__init__(program, folder, port)
        self._options = options

    @property
    def url(self) -> str:
        """The URL of its database 0."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def dump(self) -> Path:
        """The file that SAVE writes and a start reads."""
        return self.process.folder / "dump.rdb"

    def start(self) -> None:
        own = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self.process.start([*own, *self._options], self._answers)

    def stop(self) -> None:
        """End it in order."""
        self.process.end(signal.SIGTERM)

    def mend(self) -> None:
        self.dump.unlink(missing_ok=True)
        super().mend()

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), ANSWER_LIMIT) as connection:
                connection.sendall(b"PING\r\n")
                # Else it says -LOADING, or -MASTERDOWN.
                return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False
