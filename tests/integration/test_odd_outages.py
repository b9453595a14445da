"""What looks like an outage and is none."""

import asyncio
from collections.abc import Iterator

import pytest
import redis
import redis.asyncio

from refcache.core.operations import Read
from refcache.tiers.breaker import Breaker
from refcache.tiers.redis_store import RedisStore
from tests.servers.odd_server import OddServer
from tests.servers.redis_server import RedisServer

KEY = b"odd outages:1"


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


def test_an_abandoned_coroutine_is_no_failure_and_leaves_no_reply_behind(
    redis_server: RedisServer, loop: asyncio.AbstractEventLoop
) -> None:
    events: list[object] = []
    asked = asyncio.Event()

    def hold(_: bytes) -> bytes:
        loop.call_soon_threadsafe(asked.set)
        return b""

    with OddServer(redis_server.port) as server:
        store = RedisStore(
            redis.Redis.from_url(server.url), lambda: redis.asyncio.Redis.from_url(server.url)
        )
        breaker = Breaker(store, events.append, failures=1, pause=60.0)
        loop.run_until_complete(breaker.aperform(Read([KEY])))
        server.odd = hold
        reading = breaker.aperform(Read([KEY, KEY]))
        task = loop.create_task(reading)
        loop.run_until_complete(asked.wait())

        reading.close()

        server.odd = lambda reply: reply
        server.to_client.sendall(b"*2\r\n$-1\r\n$-1\r\n")  # the reply, late
        assert not breaker.is_open
        assert events == []
        assert loop.run_until_complete(breaker.aperform(Read([KEY]))).raws == [None]
        task.cancel()
        loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
        store.close()
