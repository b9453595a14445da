"""The stores that keep the contract, each with a way to look behind it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import redis

from refcache.core.events import Event
from refcache.core.operations import Operation
from refcache.tiers.breaker import Breaker
from refcache.tiers.memory import MemoryStore


@dataclass(frozen=True)
class Subject:
    """A store under test.

    Args:
        perform: The store's `perform`, or its `aperform` run to its end.
        put: Lets bytes stand under a key, for ever.
        get: The bytes under a key.
        ttl_ms: For how long they stay; None: for ever.
        incarnation: What it takes for its own.
    """

    perform: Callable[[Operation], Any]
    put: Callable[[bytes, bytes], None]
    get: Callable[[bytes], bytes | None]
    ttl_ms: Callable[[bytes], int | None]
    incarnation: int = 0


def of_memory(store: MemoryStore, perform: Callable[[Operation], Any]) -> Subject:
    def put(key: bytes, raw: bytes) -> None:
        store._entries[key] = (raw, None)

    def ttl_ms(key: bytes) -> int | None:
        expires = store._entries[key][1]
        return None if expires is None else expires - store._clock()

    return Subject(perform, put, lambda key: store._get(key, store._clock()), ttl_ms)


def guarded(store: MemoryStore) -> Breaker:
    """A breaker that opens at the first failure; here nothing fails."""

    def emit(event: Event) -> None:
        raise AssertionError(event)

    return Breaker(store, emit, failures=1, pause=1.0)


def of_redis(client: redis.Redis, perform: Callable[[Operation], Any]) -> Subject:
    def put(key: bytes, raw: bytes) -> None:
        client.set(key, raw)

    def get(key: bytes) -> bytes | None:
        raw: Any = client.get(key)
        return None if raw is None else bytes(raw)

    def ttl_ms(key: bytes) -> int | None:
        left: Any = client.pttl(key)
        return None if left < 0 else int(left)

    return Subject(perform, put, get, ttl_ms, incarnation_of(client))


def incarnation_of(client: redis.Redis) -> int:
    try:
        info: Any = client.info("server")
    except redis.ResponseError:  # A fake does not know it.
        return 0
    return int(info["run_id"][:12], 16)


def awaited(runner: asyncio.Runner, aperform: Callable[[Operation], Any]) -> Callable[..., Any]:
    return lambda operation: runner.run(aperform(operation))
