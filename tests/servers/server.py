"""What the tests do to any server, whatever it serves."""

import signal
from abc import ABC, abstractmethod
from pathlib import Path

from tests.servers.process import ServerProcess
from tools.servers import Program


class Server(ABC):
    """A program on a port of its own."""

    def __init__(self, program: Program, folder: Path, port: int) -> None:
        self.port = port
        self.process = ServerProcess(program, folder)

    @abstractmethod
    def start(self) -> None:
        """Start it; it answers when this returns."""

    @abstractmethod
    def stop(self) -> None:
        """End it in order."""

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
        if not self.process.is_running:
            self.start()
            return
        self.resume()
