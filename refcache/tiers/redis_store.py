"""The store that all processes share: entries in Redis, transitions as its Lua scripts."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

import redis
import redis.asyncio
from redis.exceptions import NoScriptError, RedisError

from refcache.core.exceptions import StoreUnavailable
from refcache.core.operations import Entries, Operation, Read
from refcache.tiers.clock import Clock
from refcache.tiers.wire import Call, call

OUTAGES = (RedisError, OSError)  # timeouts of sockets and of asyncio are OSErrors

OfLoop = tuple[redis.asyncio.Redis, AsyncGenerator[None, None]]


class RedisStore:
    """One round trip per operation, on the primary node.

    Args:
        client: On a pool of refcache's own, whose replies are bytes.
        async_client: Makes the same for a running event loop; None where there is none, and
            coroutines use *client* in a thread.

    Raises:
        StoreUnavailable: From `perform` and `aperform`: no usable answer within the timeouts.
    """

    def __init__(
        self,
        client: redis.Redis,
        async_client: Callable[[], redis.asyncio.Redis] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._client: Any = client  # redis-py's commands are untyped
        self._async_client = async_client
        self._async_clients: dict[asyncio.AbstractEventLoop, OfLoop] = {}
        self._clock = clock or Clock()

    # Threads

    def perform(self, operation: Operation) -> Any:
        sent = self._clock.sent()
        try:
            if isinstance(operation, Read):
                return self._read(operation.entry_keys, sent)
            return self._run(call(operation), sent)
        except OUTAGES as exc:
            raise _unavailable(operation, exc) from exc

    def _read(self, keys: Sequence[bytes], sent: float) -> Entries:
        if self._clock.is_set:
            return Entries(self._client.execute_command("MGET", *keys), self._clock.now())
        with self._client.pipeline(transaction=False) as pipeline:
            pipeline.execute_command("MGET", *keys)
            pipeline.execute_command("TIME")
            raws, time = pipeline.execute()
        return self._timed(raws, time, sent)

    def _run(self, script_call: Call, sent: float) -> Any:
        tail = (len(script_call.keys), *script_call.keys, *script_call.arguments)
        try:
            reply = self._client.execute_command("EVALSHA", script_call.script.sha, *tail)
        except NoScriptError:  # The server restarted, or never saw it.
            reply = self._client.execute_command("EVAL", script_call.script.text, *tail)
        return self._heard(script_call, reply, sent)

    # Event loops

    async def aperform(self, operation: Operation) -> Any:
        if self._async_client is None:
            return await asyncio.to_thread(self.perform, operation)
        client, sent = await self._client_of_loop(self._async_client), self._clock.sent()
        try:
            if isinstance(operation, Read):
                return await self._aread(client, operation.entry_keys, sent)
            return await self._arun(client, call(operation), sent)
        except OUTAGES as exc:
            raise _unavailable(operation, exc) from exc

    async def _aread(self, client: Any, keys: Sequence[bytes], sent: float) -> Entries:
        if self._clock.is_set:
            return Entries(await client.execute_command("MGET", *keys), self._clock.now())
        async with client.pipeline(transaction=False) as pipeline:
            pipeline.execute_command("MGET", *keys)
            pipeline.execute_command("TIME")
            raws, time = await pipeline.execute()
        return self._timed(raws, time, sent)

    async def _arun(self, client: Any, script_call: Call, sent: float) -> Any:
        tail = (len(script_call.keys), *script_call.keys, *script_call.arguments)
        try:
            reply = await client.execute_command("EVALSHA", script_call.script.sha, *tail)
        except NoScriptError:
            reply = await client.execute_command("EVAL", script_call.script.text, *tail)
        return self._heard(script_call, reply, sent)

    async def _client_of_loop(self, make: Callable[[], redis.asyncio.Redis]) -> redis.asyncio.Redis:
        """Connections belong to the loop that opened them, and are closed with it."""
        loop = asyncio.get_running_loop()
        if loop not in self._async_clients:
            self._async_clients = {
                each: known for each, known in self._async_clients.items() if not each.is_closed()
            }
            client = make()
            closing = self._until_loop_ends(loop, client)
            await anext(closing)
            self._async_clients[loop] = client, closing
        return self._async_clients[loop][0]

    async def _until_loop_ends(
        self, loop: asyncio.AbstractEventLoop, client: redis.asyncio.Redis
    ) -> AsyncGenerator[None, None]:
        """An open asynchronous generator is the one thing that `asyncio.run` closes at its end."""
        try:
            yield
        finally:
            self._async_clients.pop(loop, None)
            await client.connection_pool.disconnect()

    # What both hear

    def _timed(self, raws: Sequence[bytes | None], time: Sequence[Any], sent: float) -> Entries:
        self._clock.set(int(time[0]) * 1000 + int(time[1]) // 1000, sent)
        return Entries(raws, self._clock.now())

    def _heard(self, script_call: Call, reply: list[Any], sent: float) -> Any:
        self._clock.set(reply[0], sent)
        return script_call.result(reply)

    def close(self) -> None:
        self._client.close()
        self._client.connection_pool.disconnect()


def _unavailable(operation: Operation, exc: Exception) -> StoreUnavailable:
    return StoreUnavailable(f"{type(operation).__name__}: {type(exc).__name__}: {exc}")
