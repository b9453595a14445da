"""What only a Redis can get wrong: other types, lost scripts, Lua that differs from the rules."""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

import pytest
import redis

from refcache.core import entries
from refcache.core.entries import Entry, Epoch, Schema, Token, witness
from refcache.core.epochs import MOST_SCHEMAS, Changes
from refcache.core.operations import (
    Claim,
    ClaimGroup,
    Fill,
    FillItem,
    Grant,
    Mark,
    Operation,
    Read,
    Release,
    WriteGroup,
    Written,
)
from refcache.core.rules import Rules
from refcache.tiers.redis_store import RedisStore
from refcache.tiers.wire import call
from tests.conftest import FULL
from tests.contract.subjects import incarnation_of

EPOCHS = (b"a:epoch", b"b:epoch")
ROWS = {EPOCHS[0]: (b"a:1", b"a:2"), EPOCHS[1]: (b"b:1",)}
ENTRIES = (b"a:1", b"a:2", b"b:1")
SCHEMAS = (b"schema 1....", b"schema 2....")
FILLERS = tuple(b"filler %5d" % number for number in range(MOST_SCHEMAS))
TOKENS = tuple(bytes([i]) * 8 for i in range(1, 4))
IDS = tuple(bytes([i]) * 12 for i in b"efg")
KEEP_MS = 7 * 24 * 3600 * 1000
RUNS = 2_000 if FULL else 150
STEPS = 8

Put = Callable[[redis.Redis, bytes], object]
FOREIGN: dict[str, Put] = {
    "a list": lambda client, key: client.rpush(key, "x"),
    "a hash": lambda client, key: client.hset(key, "x", "y"),
    "a stream": lambda client, key: client.xadd(key, {"x": "y"}),
    "a set": lambda client, key: client.sadd(key, "x"),
    "a sorted set": lambda client, key: client.zadd(key, {"x": 1}),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_key_of_another_type_is_a_miss(client: redis.Redis, kind: str) -> None:
    for key in (EPOCHS[0], b"a:1"):
        FOREIGN[kind](client, key)
    store = RedisStore(client)

    assert list(store.perform(Read([EPOCHS[0], b"a:1"])).raws) == [None, None]
    assert _claimed(store) == [Grant.LEASE]


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_key_of_another_type_can_be_marked_and_released(client: redis.Redis, kind: str) -> None:
    FOREIGN[kind](client, b"a:1")
    store = RedisStore(client)
    _claimed(store, b"a:2")
    group = WriteGroup(EPOCHS[0], (SCHEMAS[0],), [b"a:1"])

    store.perform(Mark([group], TOKENS[1], IDS[1], 60_000))
    assert client.type("a:1") == b"string"
    store.perform(Release([group], TOKENS[1], IDS[1]))
    assert not client.exists("a:1")


def test_scripts_that_the_server_forgot_are_sent_again(client: redis.Redis) -> None:
    store = RedisStore(client)
    _claimed(store)

    client.script_flush()

    assert _claimed(store, b"a:2") == [Grant.LEASE]


def test_scripts_that_the_server_forgot_are_sent_again_in_event_loops(
    redis_client: redis.Redis,
) -> None:
    port = redis_client.connection_pool.connection_kwargs["port"]

    async def claim_twice() -> list[Grant]:
        async with redis.asyncio.Redis(host="127.0.0.1", port=port) as async_client:
            store = RedisStore(redis_client, lambda: async_client)
            await store.aperform(_claim(b"a:1"))
            redis_client.script_flush()
            claimed = await store.aperform(_claim(b"a:2"))
            return list(claimed.replies[0])

    assert asyncio.run(claim_twice()) == [Grant.LEASE]


def _claim(key: bytes) -> Claim:
    return Claim([ClaimGroup(EPOCHS[0], SCHEMAS[0], [key], KEEP_MS)], TOKENS[0], IDS[0], 10_000, {})


def _claimed(store: RedisStore, key: bytes = b"a:1") -> list[Any]:
    return list(store.perform(_claim(key)).replies[0])


# Lua and rules say the same, byte for byte


def test_lua_does_what_the_rules_say(client: redis.Redis) -> None:
    own = incarnation_of(client)
    for seed in range(RUNS):
        client.flushall()
        random = Random(seed)  # noqa: S311 - it must be repeatable
        for step in range(STEPS):
            _disturb(client, random, own)
            before = {key: _get(client, key) for key in (*EPOCHS, *ENTRIES)}
            operation = _operation(random, before, own)
            where = f"seed {seed}, step {step}: {operation!r}"
            _compare(client, before, operation, Rules(own), where)


class Outcome(NamedTuple):
    """What an operation replied, and what stands there now."""

    reply: Any
    raws: dict[bytes, bytes | None]


def _compare(
    client: redis.Redis,
    before: dict[bytes, bytes | None],
    operation: Operation,
    rules: Rules,
    where: str,
) -> None:
    script_call = call(operation)
    arguments: Any = (len(script_call.keys), *script_call.keys, *script_call.arguments)
    execute: Any = client.execute_command
    heard = execute("EVAL", script_call.script.text, *arguments)
    after = {key: _get(client, key) for key in before}
    changes, reply = _by_the_rules(rules, operation, before, heard[0])
    raws = before | {key: put.raw for key, put in changes.items()}

    assert Outcome(_plain(script_call.result(heard)), after) == Outcome(_plain(reply), raws), where
    for key, put in changes.items():
        if put.raw is not None and put.keep_ms != 0:
            assert _stays(client, key, put.keep_ms), where


def _stays(client: redis.Redis, key: bytes, keep_ms: int | None) -> bool:
    left: Any = client.pttl(key)
    # Some time passes between the script and the question.
    return bool(left == -1 if keep_ms is None else keep_ms - 1_000 <= left <= keep_ms)


def _by_the_rules(
    rules: Rules, operation: Operation, before: dict[bytes, bytes | None], now: int
) -> tuple[Changes, Any]:
    match operation:
        case Claim():
            return rules.claim(before.get, operation, now)
        case Fill():
            return rules.fill(before.get, operation, now)
        case Mark():
            return rules.mark(before.get, operation, now)
        case Release():
            return rules.release(before.get, operation, now)
    raise TypeError(operation)


def _plain(reply: Any) -> Any:
    if isinstance(reply, Written) and reply.outdated is not None:
        return reply._replace(outdated=list(map(tuple, reply.outdated)))
    return reply


def _get(client: redis.Redis, key: bytes) -> bytes | None:
    raw: Any = client.get(key)
    return raw if raw is None else bytes(raw)


def _now(client: redis.Redis) -> int:
    time: Any = client.time()
    seconds, microseconds = time
    return int(seconds) * 1000 + int(microseconds) // 1000


def _disturb(client: redis.Redis, random: Random, own: int) -> None:
    now = _now(client)
    if random.random() < 0.4:
        key = random.choice(ENTRIES)
        client.set(key, _any_raw(random, key, now), px=100_000)
    if random.random() < 0.2:
        key = random.choice(EPOCHS)
        client.set(key, entries.pack_epoch(key, _any_epoch(random, now, own), now))


def _any_raw(random: Random, key: bytes, now: int) -> bytes:
    if random.random() < 0.2:
        return random.choice([b"garbage", b"", b"x" * 50, bytes(18) + b"\x01V" + b"z" * 30])
    states = (entries.VALUE, entries.ABSENT, entries.LEASE, entries.TOMBSTONE, entries.MARKER)
    tokens = (Token(token, now + random.choice([-4_000, 4_000])) for token in TOKENS)
    state = random.choice(states)
    entry = Entry(
        state,
        random.choice([entries.NO_TOKEN, *TOKENS]),
        random.choice([0, now - 5_000, now + 5_000]),
        random.choice(IDS[:2]),
        now - random.choice([0, 5_000]),
        random.choice([0, now - 5_000, now + 5_000]),
        entries.pack_tokens(tuple(tokens)) if state == entries.MARKER else b"p",
    )
    return entries.pack(key, entry)


def _any_epoch(random: Random, now: int, own: int) -> Epoch:
    schemas = [
        Schema(s, random.choice([0, now + 4_000]), now + random.choice([-5_000, 100_000, KEEP_MS]))
        for s in (*SCHEMAS[: random.randrange(3)], *FILLERS[: random.choice([0, 0, MOST_SCHEMAS])])
    ]
    tokens = [
        Token(token, now + random.choice([-4_000, 4_000]), random.choice([b"r", b"e", b"g"]))
        for token in TOKENS[: random.randrange(4)]
    ]
    incarnation = random.choice([own, own, own, 7])
    return Epoch(random.choice(IDS[:2]), tuple(schemas), tuple(tokens), incarnation)


def _operation(random: Random, before: dict[bytes, bytes | None], own: int) -> Operation:
    keys = random.choice([EPOCHS[:1], EPOCHS[1:], EPOCHS])
    token, fresh = random.choice(TOKENS), random.choice(IDS)
    kind = random.randrange(4)
    if kind == 0:
        grace_ms = random.choice([0, 0, 3_000])
        groups = [
            ClaimGroup(key, random.choice(SCHEMAS), ROWS[key], KEEP_MS, grace_ms) for key in keys
        ]
        witnesses = _witnesses(random, before)
        return Claim(groups, token, fresh, 10_000, witnesses, random.random() < 0.3)
    if kind == 1:
        raws = (random.choice([b"", b"new"]) for _ in ENTRIES)
        items = [FillItem(k, raw, 100_000) for k, raw in zip(ENTRIES, raws, strict=True)]
        return Fill(token, items)
    touched = [_touched(random, key, before[key], own) for key in keys]
    return Mark(touched, token, fresh, 60_000) if kind == 2 else Release(touched, token, fresh)


def _witnesses(random: Random, before: dict[bytes, bytes | None]) -> dict[bytes, bytes]:
    return {
        key: witness(raw) if random.random() < 0.7 else b"another"
        for key, raw in before.items()
        if raw and key in ENTRIES and random.random() < 0.3
    }


def _touched(random: Random, epoch_key: bytes, raw: bytes | None, own: int) -> WriteGroup:
    epoch = entries.parse_epoch(epoch_key, raw)
    is_ours = epoch is not None and epoch.incarnation == own
    alive = tuple(schema.id for schema in epoch.schemas) if epoch and is_ours else ()
    schemas = SCHEMAS[:1] if random.random() < 0.2 else alive
    whole, grace_ms = random.random() < 0.3, random.choice([0, 0, 3_000])
    return WriteGroup(epoch_key, schemas, ROWS[epoch_key], whole, grace_ms)
