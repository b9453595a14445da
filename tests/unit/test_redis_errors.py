"""Whatever redis-py raises is one error of ours, and no connection is used on after it."""

import asyncio
import inspect
import struct
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from redis import exceptions
from redis.exceptions import NoScriptError, ResponseError

from refcache.core.exceptions import StoreUnavailable
from refcache.core.operations import (
    Claim,
    ClaimGroup,
    Fill,
    FillItem,
    Mark,
    Operation,
    Read,
    Release,
    WriteGroup,
)
from refcache.tiers.redis_store import RedisStore
from refcache.tiers.wire import script

READ = Read([b"key"])
CLAIM = Claim([ClaimGroup(b"epoch", b"schema", [b"key"], 1)], b"token", b"fresh", 1, {})
FILL = Fill(b"token", [FillItem(b"key", b"raw", 1)])
MARK = Mark([WriteGroup(b"epoch", (), [b"key"])], b"token", b"fresh", 1)
RELEASE = Release([WriteGroup(b"epoch", (), [b"key"])], b"token", b"fresh")
OPERATIONS: list[Operation] = [READ, CLAIM, FILL, MARK, RELEASE]
NAMES = [type(each).__name__ for each in OPERATIONS]


class Connection:
    """One that answers, or fails, as the test says."""

    def __init__(self, replies: list[Any]) -> None:
        self.replies = replies
        self.sent: list[Any] = []
        self.is_connected = True

    def connect(self) -> None:
        self.is_connected = True

    def disconnect(self) -> None:
        self.is_connected = False

    def pack_commands(self, commands: Any) -> Any:
        return commands

    def send_packed_command(self, commands: Any) -> None:
        self.sent += commands

    def read_response(self) -> Any:
        reply = self.replies.pop(0)
        if isinstance(reply, BaseException):
            raise reply
        return reply


class AsyncConnection(Connection):
    """The same for event loops."""

    async def connect(self) -> None:  # type: ignore[override]  # as redis-py's
        super().connect()

    async def disconnect(self, *, nowait: bool) -> None:  # type: ignore[override]  # as above
        assert nowait
        super().disconnect()

    async def send_packed_command(self, commands: Any) -> None:  # type: ignore[override]
        super().send_packed_command(commands)

    async def read_response(self) -> Any:
        return super().read_response()


class Pool:
    """A pool of one connection."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.is_taken = False

    def get_connection(self) -> Connection:
        assert not self.is_taken
        self.is_taken = True
        return self.connection

    def release(self, connection: Connection) -> None:
        assert connection is self.connection
        self.is_taken = False

    def disconnect(self) -> None:
        self.connection.is_connected = False


class AsyncPool(Pool):
    """The same for event loops."""

    async def get_connection(self) -> Connection:  # type: ignore[override]  # as redis-py's
        return super().get_connection()

    async def release(self, connection: Connection) -> None:  # type: ignore[override]
        super().release(connection)

    async def disconnect(self) -> None:  # type: ignore[override]  # as above
        super().disconnect()


class Bench:
    """A store over one connection; `perform` in a thread or in an event loop."""

    def __init__(self, *replies: Any, is_async: bool) -> None:
        make_connection, make_pool = (
            (AsyncConnection, AsyncPool) if is_async else (Connection, Pool)
        )
        self.connection = make_connection(list(replies))
        self.pool = make_pool(self.connection)
        client: Any = type("Client", (), {"connection_pool": self.pool})()
        self.store = RedisStore(client, (lambda: client) if is_async else None)
        self._is_async = is_async

    def perform(self, operation: Operation) -> Any:
        if self._is_async:
            return asyncio.run(self.store.aperform(operation))
        return self.store.perform(operation)


def redis_errors() -> Iterator[Exception]:
    for kind in vars(exceptions).values():
        if inspect.isclass(kind) and issubclass(kind, Exception):
            arguments = ["7 127.0.0.1:1"] if issubclass(kind, exceptions.AskError) else []
            try:
                yield kind(*arguments)
            except TypeError:
                yield kind("with a text")


OTHERS = [
    OSError("no route"),
    ConnectionResetError(),
    TimeoutError(),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "garbage"),
    ValueError("invalid literal for int()"),
    struct.error("unpack"),
    IndexError(),
    KeyError("proto"),
    TypeError("no list"),
    AttributeError("no reader"),
    OverflowError(),
    RecursionError(),
    EOFError(),
]
REPLIED = [
    ResponseError("LOADING Redis is loading the dataset in memory"),
    ResponseError("OOM command not allowed"),
    ResponseError("BUSY Redis is busy running a script"),
    ResponseError("NOAUTH Authentication required."),
    ResponseError("MISCONF"),
]
ERRORS = [*redis_errors(), *OTHERS, *REPLIED]


def test_all_errors_of_redis_are_among_these() -> None:
    kinds = {type(each) for each in ERRORS}

    assert {redis.RedisError, exceptions.MovedError, exceptions.MaxConnectionsError} <= kinds
    assert len(kinds) > 30


@pytest.mark.parametrize("is_async", [False, True], ids=["threads", "loops"])
@pytest.mark.parametrize("operation", OPERATIONS, ids=NAMES)
def test_every_error_is_the_stores(operation: Operation, *, is_async: bool) -> None:
    for exc in ERRORS:
        bench = Bench(*[exc] * 4, is_async=is_async)

        with pytest.raises(StoreUnavailable, match=type(exc).__name__) as caught:
            bench.perform(operation)

        assert caught.value.__cause__ is exc
        assert str(caught.value).startswith(type(operation).__name__)
        assert not bench.pool.is_taken


@pytest.mark.parametrize("is_async", [False, True], ids=["threads", "loops"])
def test_after_all_but_an_error_reply_the_connection_is_closed(*, is_async: bool) -> None:
    for exc in ERRORS:
        bench = Bench(*[exc] * 4, is_async=is_async)
        with pytest.raises(StoreUnavailable):
            bench.perform(CLAIM)

        is_kept = bench.connection.is_connected and not is_async  # a loop's end closes its pool
        assert is_kept is (isinstance(exc, ResponseError) and not is_async), repr(exc)


@pytest.mark.parametrize("is_async", [False, True], ids=["threads", "loops"])
def test_an_error_reply_leaves_no_reply_behind(*, is_async: bool) -> None:
    bench = Bench(ResponseError("WRONGTYPE"), [b"1", b"2"], is_async=is_async)

    with pytest.raises(StoreUnavailable, match="WRONGTYPE"):
        bench.perform(READ)

    assert bench.connection.replies == []


@pytest.mark.parametrize("is_async", [False, True], ids=["threads", "loops"])
def test_a_connection_that_broke_is_opened_anew_once(*, is_async: bool) -> None:
    broken = redis.ConnectionError("closed")
    bench = Bench(broken, [None], [b"7", b"0"], is_async=is_async)

    assert bench.perform(READ).now == 7000

    bench = Bench(broken, broken, [None], is_async=is_async)
    with pytest.raises(StoreUnavailable):
        bench.perform(READ)


@pytest.mark.parametrize("is_async", [False, True], ids=["threads", "loops"])
def test_a_silent_server_is_asked_once(*, is_async: bool) -> None:
    bench = Bench(redis.TimeoutError(), [None], [b"7", b"0"], is_async=is_async)

    with pytest.raises(StoreUnavailable):
        bench.perform(READ)

    assert len(bench.connection.replies) == 2


@pytest.mark.parametrize("is_async", [False, True], ids=["threads", "loops"])
def test_a_script_that_is_lost_twice_is_an_outage(*, is_async: bool) -> None:
    lost = NoScriptError("No matching script.")
    bench = Bench(lost, lost, is_async=is_async)

    with pytest.raises(StoreUnavailable, match="NoScriptError"):
        bench.perform(MARK)

    verbs = [(command[0], command[1]) for command in bench.connection.sent]
    assert verbs == [("EVALSHA", script("mark").sha), ("EVAL", script("mark").text)]


ODD: list[Any] = [
    None,
    7,
    b"",
    b"OK",
    "OK",
    [],
    [None],
    [[]],
    {},
    [b"x", b"y"],
    [7],
    [[7], [7], [7]],
]
ODD += [[7, [], []], [7, [b"e"], []], [7, [b"e"], [9]], [7, [b"e", b"f"], [1, 1]], [7, [1, 1]]]
ODD += [[7, 0, []], [7, 0, [1]], [7, 0], [7, 0, [b"", b""]], [b"x", 1], [True], object()]


@pytest.mark.parametrize("is_async", [False, True], ids=["threads", "loops"])
@pytest.mark.parametrize("operation", OPERATIONS, ids=NAMES)
def test_a_reply_of_another_shape_is_no_answer(operation: Operation, *, is_async: bool) -> None:
    fine: dict[type, list[Any]] = {
        Read: [[None], [b"x"], [b""], [b"OK"]],
        Claim: [[7, [b"e"], [0]], [7, [b"e"], [b"entry"]]],
        Fill: [[7, [1]], [7, [b"e"], []], [7, [b"e"], [9]]],  # the latter: not stored
        Mark: [[7, 1]],
        Release: [[7, 1]],
    }
    for odd in ODD:
        if odd in fine[type(operation)]:
            continue
        bench = Bench(odd, odd, is_async=is_async)

        with pytest.raises(StoreUnavailable):
            bench.perform(operation)


def test_what_is_no_stores_operation_is_a_mistake_of_ours() -> None:
    store = Bench(is_async=False).store

    with pytest.raises(TypeError, match="No script performs"):
        store.perform("an operation")  # type: ignore[arg-type]  # on purpose
    with pytest.raises(TypeError, match="No script performs"):
        asyncio.run(store.aperform("an operation"))  # type: ignore[arg-type]  # on purpose


def test_a_pool_that_is_exhausted_is_an_outage() -> None:
    bench = Bench(is_async=False)

    def refuse() -> Connection:
        raise exceptions.MaxConnectionsError("Too many connections")

    bench.pool.get_connection = refuse  # type: ignore[method-assign]  # a fake

    with pytest.raises(StoreUnavailable, match="Too many connections"):
        bench.perform(READ)
