"""The test bed's means of hurting servers: the proxy, the group of Redis servers, the replica."""

import socket
import time
from collections.abc import Iterator

import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.conftest import PostgresServers, _redis_program
from tests.servers.addresses import free_port
from tests.servers.bed import Bed
from tests.servers.postgres_replica import PostgresReplica
from tests.servers.proxy import Proxy
from tests.servers.redis_group import RedisGroup
from tests.servers.redis_server import RedisServer

LIMIT = 30.0
TIMEOUT = 0.2
NO_RETRY = Retry(NoBackoff(), 0)


@pytest.fixture
def proxy(redis_server: RedisServer) -> Iterator[Proxy]:
    with Proxy(redis_server.port) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: Proxy) -> Iterator[redis.Redis]:
    """Through the proxy."""
    with redis.Redis(port=proxy.port, socket_timeout=TIMEOUT, retry=NO_RETRY) as client:
        assert client.ping()
        yield client


def test_a_proxy_cuts_connections_and_accepts_new_ones(proxy: Proxy, client: redis.Redis) -> None:
    # redis-py would see that it is cut, and replace it.
    with socket.create_connection(("127.0.0.1", proxy.port), LIMIT) as connection:
        connection.sendall(b"PING\r\n")
        assert connection.recv(64) == b"+PONG\r\n"

        proxy.cut()

        with pytest.raises(ConnectionError):
            connection.recv(64)
    assert client.ping()


def test_a_proxy_refuses_until_it_passes_on(proxy: Proxy, client: redis.Redis) -> None:
    proxy.refuse()
    for _ in range(2):
        with pytest.raises(redis.ConnectionError):
            client.ping()

    proxy.pass_on()

    assert client.ping()


def test_a_proxy_swallows_until_it_passes_on(proxy: Proxy, client: redis.Redis) -> None:
    proxy.swallow()
    with pytest.raises(redis.TimeoutError):
        client.ping()

    proxy.pass_on()

    assert client.ping()


def test_a_proxy_delays_every_reply(proxy: Proxy, client: redis.Redis) -> None:
    proxy.delay(TIMEOUT / 2)

    began = time.monotonic()
    client.ping()

    assert time.monotonic() - began >= TIMEOUT / 2


def test_a_proxy_answers_with_garbage_until_it_passes_on(proxy: Proxy, client: redis.Redis) -> None:
    client.set("key", "value")
    proxy.garble()
    answers = {answer(client) for _ in range(20)}

    proxy.pass_on()

    assert "unreadable" in answers
    assert b"value" not in answers
    assert client.ping()


def test_a_proxy_refuses_for_a_server_that_is_gone(
    client: redis.Redis, redis_server: RedisServer
) -> None:
    redis_server.stop()

    with pytest.raises(redis.ConnectionError):
        client.ping()


def test_sentinels_promote_a_replica_when_the_primary_dies(bed: Bed) -> None:
    group = RedisGroup(_redis_program(), bed.folder / "group")
    try:
        group.start()
        first = group.primary
        with redis.Redis(port=first.port) as client:
            client.set("key", "value")
            assert client.wait(2, 10_000) == 2

        group.fail_over()

        with redis.Redis(port=group.primary.port) as client:
            assert (group.primary.port, client.get("key")) != (first.port, None)
            assert client.set("key", "other")
    finally:
        group.kill()


def test_a_replica_shows_nothing_new_while_its_replay_is_paused(
    bed: Bed, postgres_servers: PostgresServers
) -> None:
    primary = postgres_servers.events
    replica = PostgresReplica(primary, bed.folder / "replica", free_port())
    try:
        replica.start()
        ask(primary.url, "DROP TABLE IF EXISTS seen", "CREATE TABLE seen AS SELECT 1 AS number")
        replica.catch_up()
        replica.pause_replay()
        ask(primary.url, "UPDATE seen SET number = 2")
        assert ask(replica.url, "SELECT number FROM seen") == [(1,)]

        replica.resume_replay()
        replica.catch_up()

        assert ask(replica.url, "SELECT number FROM seen") == [(2,)]
    finally:
        replica.kill()


def answer(client: redis.Redis) -> object:
    try:
        return client.get("key")
    except Exception:  # noqa: BLE001 - no client is prepared for everything
        return "unreadable"


def ask(url: str, *statements: str) -> list[tuple[int]]:
    """Return the last one's rows; none for one that gives none."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []
