"""What a test sees of the work done for it: commands at Redis, statements at a database."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar
from uuid import uuid4

import redis
from asgiref.sync import sync_to_async
from django.db import connections
from django.db.models import QuerySet
from django.db.models.sql import UpdateQuery

from refcache.core import entries
from refcache.tiers.wire import script

T = TypeVar("T")

LIMIT = 30.0  # seconds, for a loaded machine

SCRIPTS = {script(name).sha: name for name in ("claim", "fill", "mark", "release")}


@contextmanager
def redis_commands(client: redis.Redis, prefix: bytes) -> Iterator[list[str]]:
    """Lists the commands that concern keys under *prefix*, once the block has ended.

    Scripts by their names; TIME travels together with the MGET before it.
    """
    commands: list[str] = []
    end = uuid4().hex
    with client.monitor() as monitor:  # type: ignore[no-untyped-call]  # theirs
        yield commands
        client.echo(end)
        while end not in (seen := monitor.next_command())["command"]:
            if seen["client_type"] != "lua" and prefix.decode() in seen["command"]:
                commands.append(_named(seen["command"]))


def _named(command: str) -> str:
    verb, first, *_ = command.split(" ")
    return SCRIPTS.get(first, verb)


@contextmanager
def statements(*aliases: str) -> Iterator[list[str]]:
    """Lists the statements that this thread sends to the databases."""
    sent: list[str] = []

    def record(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        sent.append(sql)
        return execute(sql, *rest)

    with _wrapped(record, aliases or ("default",)):
        yield sent


@contextmanager
def after_each_statement(act: Callable[[str], None]) -> Iterator[None]:
    """Calls *act* when this thread's statement has been executed, before its rows are used."""

    def wrapper(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        result = execute(sql, *rest)
        act(sql)
        return result

    with _wrapped(wrapper, ("default",)):
        yield


@contextmanager
def rows_read() -> Iterator[list[int]]:
    """Lists how many rows each of this thread's statements to `default` has given."""
    counts: list[int] = []

    def record(
        execute: Callable[..., Any], sql: str, params: Any, many: Any, context: dict[str, Any]
    ) -> Any:
        result = execute(sql, params, many, context)
        counts.append(context["cursor"].rowcount)
        return result

    with _wrapped(record, ("default",)):
        yield counts


@contextmanager
def _wrapped(wrapper: Callable[..., Any], aliases: Iterable[str]) -> Iterator[None]:
    with ExitStack() as stack:
        for alias in aliases:
            stack.enter_context(connections[alias].execute_wrapper(wrapper))
        yield


def execute_unseen(sql: str, params: Iterable[Any] = ()) -> None:
    """As somebody outside of Django: on the driver's own connection to `default`."""
    connection = connections["default"]
    connection.ensure_connection()
    connection.connection.execute(sql, tuple(params))


def update_unseen(rows: QuerySet[Any], **values: Any) -> None:
    """What `rows.update()` does, of which neither signals nor statements tell."""
    query: Any = rows.query.chain(UpdateQuery)
    query.add_update_values(values)
    execute_unseen(*query.get_compiler("default").as_sql())


def in_new_loop(coroutine: Coroutine[Any, Any, T]) -> T:
    """The coroutine's result; the databases' connections of asgiref's thread are closed."""

    async def main() -> T:
        try:
            return await coroutine
        finally:
            await sync_to_async(connections.close_all)()

    return asyncio.run(main())


def in_thread(function: Callable[[], T]) -> T:
    """The function's result in a thread, and on connections, of its own."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(on_own_connections(function)).result(LIMIT)


def on_own_connections(function: Callable[[], T]) -> Callable[[], T]:
    """For a thread: the function, after which the thread's connections are closed."""

    def call() -> T:
        try:
            return function()
        finally:
            connections.close_all()

    return call


def state(client: redis.Redis, prefix: bytes, name: str) -> str:
    """What stands in Redis for `reference:…:key`: "value", "marker" …, or "nothing"."""
    reference, _, key = name.partition(":")
    found = list(client.scan_iter(b"%b%b:*:%b" % (prefix, reference.encode(), key.encode())))
    if not found:
        return "nothing"
    (entry_key,) = found
    raw = client.get(entry_key)
    entry = entries.parse(entry_key, raw) if isinstance(raw, bytes) else None
    return STATES[entry.state] if entry else "garbage"


STATES = {
    entries.VALUE: "value",
    entries.ABSENT: "absent",
    entries.LEASE: "lease",
    entries.MARKER: "marker",
    entries.TOMBSTONE: "tombstone",
}
