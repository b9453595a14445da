"""The stores that keep the contract, each with a way to look behind it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import redis

from refcache.core.operations import Operation
from refcache.tiers.memory import MemoryStore


@dataclass(frozen=True)
class Subject:
    """A store under test.

    Args:
        perform: The store's `perform`, or its `aperform` run to its end.
        put: Lets bytes stand under a key, for ever.
        get: The bytes under a key.
        ttl_ms: For how long they stay; None: for ever.
    """

    perform: Callable[[Operation], Any]
    put: Callable[[bytes, bytes], None]
    get: Callable[[bytes], bytes | None]
    ttl_ms: Callable[[bytes], int | None]


def of_memory(store: MemoryStore, perform: Callable[[Operation], Any]) -> Subject:
    def put(key: bytes, raw: bytes) -> None:
        store._entries[key] = (raw, None)

    def ttl_ms(key: bytes) -> int | None:
        expires = store._entries[key][1]
        return None if expires is None else expires - store._clock()

    return Subject(perform, put, lambda key: store._get(key, store._clock()), ttl_ms)


def of_redis(client: redis.Redis, perform: Callable[[Operation], Any]) -> Subject:
    def put(key: bytes, raw: bytes) -> None:
        client.set(key, raw)

    def get(key: bytes) -> bytes | None:
        raw: Any = client.get(key)
        return None if raw is None else bytes(raw)

    def ttl_ms(key: bytes) -> int | None:
        left: Any = client.pttl(key)
        return None if left < 0 else int(left)

    return Subject(perform, put, get, ttl_ms)


def awaited(runner: asyncio.Runner, aperform: Callable[[Operation], Any]) -> Callable[..., Any]:
    return lambda operation: runner.run(aperform(operation))
