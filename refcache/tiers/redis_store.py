"""The store that all processes share: entries in Redis, transitions as its Lua scripts."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from typing import Any, NamedTuple

import redis
import redis.asyncio
from redis.exceptions import InvalidResponse, NoScriptError, ResponseError

from refcache.core.drivers import arun, run
from refcache.core.exceptions import StoreUnavailable
from refcache.core.operations import Claimed, Entries, Filled, Operation, Read, Written
from refcache.tiers.clock import Clock
from refcache.tiers.incarnation import UNKNOWN, Connection, Incarnations
from refcache.tiers.wire import Call, call

STRINGS = frozenset({bytes, type(None)})  # what an MGET gives
OfLoop = tuple[redis.asyncio.Redis, AsyncGenerator[None, None]]


class Request(NamedTuple):
    """Commands that are sent together, and what is made of their replies.

    `digest` raises if they are not what such commands are answered by: then the connection, which
    may be out of step, is closed.
    """

    commands: Sequence[Sequence[Any]]
    digest: Callable[[list[Any]], Any]


class Heard(NamedTuple):
    """What was made of the replies, and who gave them."""

    result: Any
    incarnation: int


Steps = Generator[Any, Heard, Any]  # of Requests; the drivers are typed for the protocol's


class RedisStore:
    """One round trip per operation, on the primary node.

    Commands are sent over the pool's connections here, not by redis-py's client: that one returns
    a Sentinel's connection to its pool while a reply is still to come, and does not tell which
    connection, and so which server, has answered.

    Args:
        client: On a pool of refcache's own, whose replies are bytes.
        async_client: Makes the same for a running event loop; None where there is none, and
            coroutines use *client* in a thread.
        incarnations: What the pools' connections are greeted by; else the server is unknown.
        limit: Seconds that an operation of a coroutine may take as a whole.

    Raises:
        StoreUnavailable: From `perform` and `aperform`: no usable answer within the timeouts.
    """

    def __init__(
        self,
        client: redis.Redis,
        async_client: Callable[[], redis.asyncio.Redis] | None = None,
        clock: Clock | None = None,
        incarnations: Incarnations | None = None,
        limit: float | None = None,
    ) -> None:
        self._client = client
        self._async_client = async_client
        self._async_clients: dict[asyncio.AbstractEventLoop, OfLoop] = {}
        self._clock = clock or Clock()
        self._clock_of = UNKNOWN  # the incarnation whose time it tells
        self._incarnations = incarnations or Incarnations()
        self._limit = limit

    def perform(self, operation: Operation) -> Any:
        return self._run(type(operation).__name__, self._steps(operation))

    async def aperform(self, operation: Operation) -> Any:
        if self._async_client is None:
            return await asyncio.to_thread(self.perform, operation)
        steps, task = self._steps(operation), asyncio.current_task()
        pool: Any = (await self._client_of_loop(self._async_client)).connection_pool
        try:
            async with asyncio.timeout(self._limit):
                return await arun(steps, lambda each: self._aexchange(pool, each))
        except Exception as exc:
            if task and asyncio.current_task(task.get_loop()) is not task:
                # It is collected, or closed: redis-py fails to clean up, and hides what it is told.
                raise GeneratorExit from exc
            raise _unavailable(type(operation).__name__, exc) from exc

    def info(self, section: str) -> dict[str, str]:
        """What the server says of itself, by name.

        Raises:
            StoreUnavailable: It did not answer, or does not allow the question.
        """
        return self._run("INFO", _info(section))  # type: ignore[no-any-return]  # _info's

    def close(self) -> None:
        """Close what threads have opened; they open it anew where they go on."""
        pool: Any = self._client.connection_pool
        # redis-py's Sentinel pool leaves those to the sentinels open.
        sentinels = pool.sentinel_manager.sentinels if hasattr(pool, "sentinel_manager") else ()
        for each in (pool, *sentinels):
            each.close()

    def _run(self, what: str, steps: Steps) -> Any:
        try:
            return run(steps, self._exchange)
        except Exception as exc:
            raise _unavailable(what, exc) from exc

    # What is asked, and what is made of the replies

    def _steps(self, operation: Operation) -> Steps:
        if isinstance(operation, Read):
            return self._read(operation.entry_keys)
        return self._script(operation, call(operation))

    def _read(self, keys: Sequence[bytes]) -> Steps:
        mget = ("MGET", *keys)
        if self._clock.is_set:
            heard = yield Request([mget], lambda replies: _entries(replies[0], len(keys)))
            if heard.incarnation == self._clock_of:
                return Entries(heard.result, self._clock.now(), heard.incarnation)
        sent = self._clock.sent()
        heard = yield Request(
            [mget, ("TIME",)],
            lambda replies: (_entries(replies[0], len(keys)), _milliseconds(replies[1])),
        )
        raws, server_ms = heard.result
        self._set_clock(server_ms, sent, heard)
        return Entries(raws, self._clock.now(), heard.incarnation)

    def _script(self, operation: Operation, script_call: Call) -> Steps:
        script, keys, arguments, _ = script_call
        tail = (len(keys), *keys, *arguments)

        def digest(replies: list[Any]) -> Any:
            result = script_call.result(replies[0])
            if not _fits(operation, replies[0], result):
                raise InvalidResponse(f"A script was answered by {replies[0]!r:.200}")
            return result

        sent = self._clock.sent()
        try:
            heard = yield Request([("EVALSHA", script.sha, *tail)], digest)
        except NoScriptError:  # The server restarted, or never saw it.
            heard = yield Request([("EVAL", script.text, *tail)], digest)
        self._set_clock(heard.result.now, sent, heard)
        return heard.result

    def _set_clock(self, server_ms: int, sent: float, heard: Heard) -> None:
        self._clock.set(server_ms, sent)
        self._clock_of = heard.incarnation

    def _exchange(self, request: Request) -> Heard:
        pool: Any = self._client.connection_pool
        connection = pool.get_connection()
        try:
            if self._incarnations.is_former(connection):
                connection.disconnect()
                connection.connect()
            try:
                result = _talk(connection, request)
            except redis.ConnectionError:  # It had broken while it was idle, most likely.
                connection.connect()
                result = _talk(connection, request)
            return Heard(result, self._incarnations.of(connection))
        finally:
            pool.release(connection)

    async def _aexchange(self, pool: Any, request: Request) -> Heard:
        loop, connection = asyncio.get_running_loop(), await pool.get_connection()
        try:
            if self._incarnations.is_former(connection):
                await connection.disconnect(nowait=True)
                await connection.connect()
            try:
                result = await _atalk(connection, request)
            except redis.ConnectionError:
                await connection.connect()
                result = await _atalk(connection, request)
            return Heard(result, self._incarnations.of(connection))
        finally:
            if asyncio.current_task(loop):  # Else a reply may still come, as nothing can close it.
                await pool.release(connection)

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


def _talk(connection: Connection, request: Request) -> Any:
    try:
        connection.send_packed_command(connection.pack_commands(request.commands))
        # Errors among them are raised later, so that no reply is left to be read.
        return _digested(request, [_reply(connection) for _ in request.commands])
    except ResponseError:
        raise
    except BaseException:
        # What it still sends would be read as the reply to another command.
        connection.disconnect()
        raise


def _reply(connection: Connection) -> Any:
    try:
        return connection.read_response()
    except ResponseError as exc:
        return exc


async def _atalk(connection: Connection, request: Request) -> Any:
    try:
        await connection.send_packed_command(connection.pack_commands(request.commands))
        return _digested(request, [await _areply(connection) for _ in request.commands])
    except ResponseError:
        raise
    except BaseException:
        await connection.disconnect(nowait=True)
        raise


async def _areply(connection: Connection) -> Any:
    try:
        return await connection.read_response()
    except ResponseError as exc:
        return exc


def _digested(request: Request, replies: list[Any]) -> Any:
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    return request.digest(replies)


def _entries(raws: Any, count: int) -> Sequence[bytes | None]:
    is_list = isinstance(raws, list) and len(raws) == count
    if not is_list or not STRINGS.issuperset(map(type, raws)):
        raise InvalidResponse(f"MGET was answered by {raws!r:.200}")
    return raws  # type: ignore[no-any-return]  # as is_list says


def _fits(operation: Any, reply: Any, result: Any) -> bool:
    """Whether the reply is a script's, and has one answer for each thing that was asked."""
    if not isinstance(reply, list) or type(reply[0]) is not int:
        return False
    match result:
        case Claimed(_, epochs, replies):
            asked = [len(group.entry_keys) for group in operation.groups]
            return len(epochs) == len(asked) and [len(each) for each in replies] == asked
        case Filled(_, stored):
            return len(stored) == len(operation.items)
        case Written(_, outdated):
            is_told = outdated is None or len(outdated) == len(operation.groups)
            return is_told and type(reply[1]) is int
    return False


def _milliseconds(time: Any) -> int:
    return int(time[0]) * 1000 + int(time[1]) // 1000


def _info(section: str) -> Steps:
    heard = yield Request([("INFO", section)], lambda replies: replies[0])
    text = heard.result if isinstance(heard.result, str) else heard.result.decode()
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


def _unavailable(what: str, exc: Exception) -> StoreUnavailable:
    """The one place where errors of redis-py become ours.

    Whatever it raises: its parsers, given garbage, raise errors that are not its own, and neither
    are some of those that `redis.exceptions` defines.
    """
    return StoreUnavailable(f"{what}: {type(exc).__name__}: {exc}")
