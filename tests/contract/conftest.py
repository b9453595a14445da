"""Every test of the contract runs on every store, in threads and in event loops."""

import asyncio
from collections.abc import Iterator

import fakeredis
import pytest
import redis

from refcache.tiers.memory import MemoryStore
from refcache.tiers.redis_store import RedisStore
from tests.contract.subjects import Subject, awaited, guarded, of_memory, of_redis

SUBJECTS = ["memory", "memory async", "fakeredis", "fakeredis async"]
GUARDED = ["memory breaker", "memory breaker async"]
SERVED = ["redis", "redis async", "redis async in a thread"]


@pytest.fixture(params=["fakeredis", "redis"])
def client(request: pytest.FixtureRequest) -> Iterator[redis.Redis]:
    """An empty Redis, real or not."""
    if request.param == "redis":
        yield request.getfixturevalue("redis_client")
        return
    with fakeredis.FakeRedis(server=fakeredis.FakeServer()) as client:
        yield client


@pytest.fixture(params=[*SUBJECTS, *GUARDED, *SERVED])
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    kind: str = request.param
    with asyncio.Runner() as runner:
        if kind.startswith("memory"):
            store = MemoryStore()
            is_async = kind.endswith("async")
            top = guarded(store) if "breaker" in kind else store
            yield of_memory(store, awaited(runner, top.aperform) if is_async else top.perform)
        elif kind.startswith("fakeredis"):
            yield from _fake(runner, is_async=kind.endswith("async"))
        else:
            yield from _real(request.getfixturevalue("redis_client"), kind, runner)


def _fake(runner: asyncio.Runner, *, is_async: bool) -> Iterator[Subject]:
    server = fakeredis.FakeServer()
    with fakeredis.FakeRedis(server=server) as client:
        if not is_async:
            yield of_redis(client, RedisStore(client).perform)
            return
        async_client = fakeredis.FakeAsyncRedis(server=server)
        store = RedisStore(client, lambda: async_client)
        yield of_redis(client, awaited(runner, store.aperform))
        runner.run(async_client.aclose())


def _real(client: redis.Redis, kind: str, runner: asyncio.Runner) -> Iterator[Subject]:
    port = client.connection_pool.connection_kwargs["port"]
    if kind == "redis async":
        async_client = redis.asyncio.Redis(host="127.0.0.1", port=port)
        store = RedisStore(client, lambda: async_client)
        yield of_redis(client, awaited(runner, store.aperform))
        runner.run(async_client.aclose())
        return
    store = RedisStore(client)
    is_async = kind.endswith("thread")
    yield of_redis(client, awaited(runner, store.aperform) if is_async else store.perform)
