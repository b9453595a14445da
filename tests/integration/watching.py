"""What a test sees of the work done for it: commands at Redis, statements at a database."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar
from uuid import uuid4

import redis
from asgiref.sync import sync_to_async
from django.db import connections

from refcache.tiers.wire import script

T = TypeVar("T")

SCRIPTS = {script(name).sha: name for name in ("claim", "fill", "mark", "release")}


@contextmanager
def redis_commands(client: redis.Redis, prefix: bytes) -> Iterator[list[str]]:
    """Lists the commands that concern keys under *prefix*, once the block has ended.

    Scripts by their names; TIME travels together with the MGET before it.
    """
    commands: list[str] = []
    end = uuid4().hex
    with client.monitor() as monitor:
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

    with ExitStack() as stack:
        for alias in aliases or ("default",):
            stack.enter_context(connections[alias].execute_wrapper(record))
        yield sent


def in_new_loop(coroutine: Coroutine[Any, Any, T]) -> T:
    """The coroutine's result; the databases' connections of asgiref's thread are closed."""

    async def main() -> T:
        try:
            return await coroutine
        finally:
            await sync_to_async(connections.close_all)()

    return asyncio.run(main())
