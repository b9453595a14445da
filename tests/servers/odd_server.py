"""A TCP server that answers as the test says, and not as Redis would."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

ENDED = 5.0  # seconds; every thread ends when its connection is closed


class OddServer:
    """Forwards to a Redis, and does to what that sends back what `odd` says.

    Args:
        port: The Redis's; None: there is none, and `odd` is given empty bytes per request.
    """

    def __init__(self, port: int | None = None) -> None:
        self.odd: Callable[[bytes], bytes] = lambda reply: reply
        self.connections = 0
        self._target = port
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None
    ) -> None:
        for each in (self._listener, *self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join(ENDED)

    @property
    def to_client(self) -> socket.socket:
        """The latest client's connection."""
        return self._open[-1 if self._target is None else -2]

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def _start(self, act: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=act, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                self._open.append(client)
                self._start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        if self._target is None:
            self._pump(client, client, lambda _: self.odd(b""))
            return
        target = socket.create_connection(("127.0.0.1", self._target))
        self._open.append(target)
        self._start(self._pump, target, client, lambda reply: self.odd(reply))  # noqa: PLW0108 - it changes
        self._pump(client, target, lambda request: request)

    def _pump(
        self, source: socket.socket, sink: socket.socket, change: Callable[[bytes], bytes]
    ) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                sink.sendall(change(data))
        for each in (source, sink):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
