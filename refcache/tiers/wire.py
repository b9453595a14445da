"""Operations as Redis commands, and replies as results: what both clients say and hear."""

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from hashlib import sha1
from importlib.resources import files
from itertools import islice
from typing import Any, NamedTuple

from refcache.core.operations import (
    Claim,
    Claimed,
    Fill,
    Filled,
    Grant,
    Mark,
    Operation,
    Release,
    WriteGroup,
    Written,
)

Argument = bytes | int


class Script(NamedTuple):
    """A Lua script as the server wants it."""

    text: str
    sha: str


class Call(NamedTuple):
    """One script call, and what to make of its reply."""

    script: Script
    keys: Sequence[bytes]
    arguments: Sequence[Argument]
    result: Callable[[list[Any]], Any]


@cache
def script(name: str) -> Script:
    folder = files("refcache.tiers") / "lua"
    text = "\n".join((folder / f"{part}.lua").read_text() for part in ("prelude", name))
    return Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


def call(operation: Operation) -> Call:
    """The script call that performs *operation*.

    Raises:
        TypeError: It is not a store's operation, or no script's (`Read` is an MGET).
    """
    match operation:
        case Claim():
            return _claim(operation)
        case Fill():
            return _fill(operation)
        case Mark():
            head = (len(operation.groups), operation.token, operation.fresh_epoch)
            return _write("mark", (*head, operation.timeout_ms), operation.groups)
        case Release():
            head = (len(operation.groups), operation.token, operation.fresh_epoch)
            return _write("release", head, operation.groups)
    raise TypeError(f"No script performs {operation!r}.")


def _claim(claim: Claim) -> Call:
    keys = [key for group in claim.groups for key in group.entry_keys]
    arguments: list[Argument] = [
        len(claim.groups),
        claim.token,
        claim.fresh_epoch,
        claim.lease_ms,
        int(claim.refresh),
    ]
    for group in claim.groups:
        arguments += (group.schema, group.keep, group.grace_ms, len(group.entry_keys))
    if claim.witnesses:
        for place, key in enumerate(keys, 1):
            if key in claim.witnesses:
                arguments += (place, claim.witnesses[key])

    def result(reply: list[Any]) -> Claimed:
        now, epochs, flat = reply
        replies = map(_grant, flat)
        per_group = [list(islice(replies, len(group.entry_keys))) for group in claim.groups]
        return Claimed(now, epochs, per_group)

    return Call(script("claim"), [*_epoch_keys(claim.groups), *keys], arguments, result)


def _grant(reply: bytes | int) -> Grant | bytes:
    return Grant(reply) if isinstance(reply, int) else reply


def _fill(fill: Fill) -> Call:
    arguments: list[Argument] = [fill.token]
    for item in fill.items:
        arguments += (item.raw, item.keep_ms)
    keys = [item.entry_key for item in fill.items]
    return Call(script("fill"), keys, arguments, lambda r: Filled(r[0], [x == 1 for x in r[1]]))


def _write(name: str, head: Sequence[Argument], groups: Sequence[WriteGroup]) -> Call:
    arguments = list(head)
    for group in groups:
        schemas = b"".join(group.schemas)
        arguments += (schemas, int(group.whole), group.grace_ms, len(group.entry_keys))
    keys = [key for group in groups for key in group.entry_keys]
    return Call(script(name), [*_epoch_keys(groups), *keys], arguments, _written)


def _written(reply: list[Any]) -> Written:
    now, is_done, *alive = reply
    if is_done:
        return Written(now)
    lists = alive[0]
    return Written(now, [tuple(ids[i : i + 12] for i in range(0, len(ids), 12)) for ids in lists])


def _epoch_keys(groups: Iterable[Any]) -> list[bytes]:
    return [group.epoch_key for group in groups]
