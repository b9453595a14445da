"""A TCP proxy before any server, which hurts the connections instead of the server."""

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from random import Random
from types import TracebackType
from typing import Any, Self

from tests.servers.addresses import free_port

CHUNK = 65_536  # bytes
LIMIT = 30.0  # seconds, for what takes none
# Of Redis's protocol: no type at all, numbers that are none, a length below nothing, more than
# was announced, an answer to another question, an error that nobody knows.
GARBAGE = (
    b"\x00\xff\xfe\r\n",
    b":x\r\n",
    b"$-5\r\n",
    b"$3\r\nabcdef\r\n",
    b"*2\r\n:1\r\n",
    b"*x\r\n",
    b"+OK\r\n",
    b"%1\r\n+a\r\n",
    b"-WHATEVER it is\r\n",
)

# Lingering for no time makes a close a reset, as of a machine that is gone: not an orderly end.
RESET = struct.pack("ii", 1, 0)

Pipe = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Proxy:
    """Passes everything on, until it is told otherwise; a thread with an event loop of its own.

    Args:
        target: The port of 127.0.0.1 behind it.
        seed: Of the garbage.
    """

    def __init__(self, target: int, seed: int = 1) -> None:
        self.port = free_port()
        self._target = target
        self._random = Random(seed)  # noqa: S311 - it must be repeatable
        self._delay = 0.0
        self._change: Callable[[bytes], bytes] | None = None
        self._swallows = False
        self._open: set[asyncio.StreamWriter] = set()
        self._listening: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.pass_on()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(LIMIT)
        self._loop.close()

    def pass_on(self) -> None:
        """Undo whatever was told before; connections that have lost something are cut."""
        lossy = self._swallows or self._change is not None
        self._delay, self._swallows, self._change = 0.0, False, None
        if lossy:
            self.cut()
        self._do(self._listen())

    def cut(self) -> None:
        """Cut all connections; new ones are accepted as before."""
        self._do(self._cut())

    def refuse(self) -> None:
        """Cut all connections, and refuse new ones."""
        self._do(self._refuse())

    def swallow(self) -> None:
        """Accept connections, and let nothing through in either direction."""
        self._swallows = True

    def delay(self, seconds: float) -> None:
        """Hold every reply back for *seconds*; replies keep their distances."""
        self._delay = seconds

    def garble(self) -> None:
        """Answer with garbage, as often as the server answers."""
        self._change = lambda _: self._random.choice(GARBAGE)

    # In the loop's thread

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(LIMIT)

    async def _listen(self) -> None:
        if self._listening is None:
            self._listening = await asyncio.start_server(
                self._accept, "127.0.0.1", self.port, reuse_address=True
            )

    async def _cut(self) -> None:
        for writer in self._open:
            # It may be closed already, and be in the list for a moment more.
            with suppress(OSError):
                end = writer.get_extra_info("socket")
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort()

    async def _refuse(self) -> None:
        if self._listening is not None:
            self._listening.close()
            self._listening = None
        await self._cut()

    async def _end(self) -> None:
        await self._refuse()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            target = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            self._open.discard(writer)
            writer.transport.abort()
            return
        self._open.add(target[1])
        try:
            await asyncio.gather(
                self._requests((reader, target[1])), self._replies((target[0], writer))
            )
        finally:
            for end in (writer, target[1]):
                self._open.discard(end)
                end.transport.abort()

    async def _requests(self, pipe: Pipe) -> None:
        with suppress(OSError):
            while data := await pipe[0].read(CHUNK):
                if not self._swallows:
                    await _send(pipe[1], data)
        pipe[1].transport.abort()

    async def _replies(self, pipe: Pipe) -> None:
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        sending = asyncio.create_task(self._send_when_due(waiting, pipe[1]))
        with suppress(OSError):
            while data := await pipe[0].read(CHUNK):
                waiting.put_nowait((self._loop.time() + self._delay, data))
        waiting.put_nowait((self._loop.time() + self._delay, b""))
        await sending

    async def _send_when_due(
        self, waiting: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter
    ) -> None:
        due, data = await waiting.get()
        while data:
            await asyncio.sleep(max(0.0, due - self._loop.time()))
            if not self._swallows:
                with suppress(OSError):
                    await _send(writer, self._change(data) if self._change else data)
            due, data = await waiting.get()
        writer.transport.abort()


async def _send(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    await writer.drain()
