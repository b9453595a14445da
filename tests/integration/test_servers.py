"""The test bed itself: what the other tests rely on."""

import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest
import redis
from django.core.cache import cache
from django.db import connections

from tests.conftest import PostgresServers
from tests.servers import addresses
from tests.servers.bed import Bed
from tests.servers.mariadb_server import USER, MariadbServer
from tests.servers.process import wait_until
from tests.servers.redis_server import CLUSTER_BUS, RedisServer

LIMIT = 30.0


def test_redis_answers(redis_client: redis.Redis) -> None:
    assert redis_client.ping()


def test_the_cache_alias_is_the_runs_own_redis(redis_client: redis.Redis) -> None:
    cache.set("name", "value")

    assert redis_client.keys() == [b"test:1:name"]


def test_a_killed_redis_comes_back_empty(
    redis_server: RedisServer, redis_client: redis.Redis
) -> None:
    redis_client.set("key", "value")

    redis_server.kill()
    redis_server.start()

    assert redis_client.get("key") is None


def test_a_stopped_redis_comes_back_with_its_dump(
    redis_server: RedisServer, redis_client: redis.Redis
) -> None:
    redis_client.set("key", "value")
    redis_client.save()

    redis_server.stop()
    redis_server.start()

    assert redis_client.get("key") == b"value"


def test_a_paused_redis_hangs_until_it_is_resumed(redis_server: RedisServer) -> None:
    with redis.Redis.from_url(redis_server.url, socket_timeout=0.2, retry=None) as client:
        redis_server.pause()
        with pytest.raises(redis.TimeoutError):
            client.ping()

        redis_server.resume()

        assert client.ping()


def test_a_new_redis_is_another_one(
    redis_server: RedisServer, new_redis: Callable[..., RedisServer]
) -> None:
    other = new_redis("--maxmemory", "64mb")

    with redis.Redis.from_url(other.url) as client:
        assert client.config_get("maxmemory") == {"maxmemory": str(64 * 1024 * 1024)}
    assert other.port != redis_server.port


def test_both_databases_answer_and_are_distinct(postgres_servers: PostgresServers) -> None:
    systems = set()
    for server in postgres_servers:
        with psycopg.connect(server.url) as connection:
            systems |= set(connection.execute("SELECT system_identifier FROM pg_control_system()"))

    assert len(systems) == 2


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_database_comes_back_with_what_was_committed(
    postgres_servers: PostgresServers, end: str
) -> None:
    server = postgres_servers.events
    with psycopg.connect(server.url) as connection:
        connection.execute("DROP TABLE IF EXISTS kept")
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")

    getattr(server, end)()
    server.start()

    with psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT number FROM kept").fetchall() == [(7,)]


def test_a_paused_database_hangs_until_it_is_resumed(postgres_servers: PostgresServers) -> None:
    server = postgres_servers.application
    with psycopg.connect(server.url) as connection, ThreadPoolExecutor() as threads:
        server.pause()
        answer = threads.submit(connection.execute, "SELECT 7")
        with pytest.raises(TimeoutError):
            answer.result(timeout=0.2)

        server.resume()

        assert answer.result(LIMIT).fetchall() == [(7,)]


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_mended_mariadb_has_what_was_committed(mariadb_server: MariadbServer, end: str) -> None:
    ask_mariadb(mariadb_server, "DROP DATABASE IF EXISTS kept", "CREATE DATABASE kept")
    ask_mariadb(mariadb_server, "CREATE TABLE kept.rows AS SELECT 7 AS number")

    getattr(mariadb_server, end)()
    mariadb_server.mend()

    assert ask_mariadb(mariadb_server, "SELECT number FROM kept.rows") == ((7,),)


def test_a_paused_mariadb_hangs_until_it_is_mended(mariadb_server: MariadbServer) -> None:
    with ThreadPoolExecutor() as threads:
        mariadb_server.pause()
        answer = threads.submit(ask_mariadb, mariadb_server, "SELECT 7")
        with pytest.raises(TimeoutError):
            answer.result(timeout=0.2)

        mariadb_server.mend()

        assert answer.result(LIMIT) == ((7,),)


def ask_mariadb(server: MariadbServer, *statements: str) -> Any:
    """Return the last one's rows."""
    address = {"host": "127.0.0.1", "port": server.port, "user": USER}
    with pymysql.connect(**address, autocommit=True) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return cursor.fetchall()


@pytest.mark.django_db(databases=["default", "mariadb", "sqlite"])
def test_further_aliases_are_the_runs_own(bed: Bed, mariadb_server: MariadbServer) -> None:
    with connections["mariadb"].cursor() as cursor:
        cursor.execute("SELECT @@port")
        assert cursor.fetchone() == (mariadb_server.port,)
    with connections["sqlite"].cursor() as cursor:
        cursor.execute("PRAGMA journal_mode")
        assert cursor.fetchone() == ("wal",)
    assert Path(connections["sqlite"].settings_dict["NAME"]).parent == bed.folder


@pytest.mark.django_db(databases=["default", "events"])
def test_djangos_aliases_are_the_two_databases(postgres_servers: PostgresServers) -> None:
    ports = []
    for alias in ("default", "events"):
        with connections[alias].cursor() as cursor:
            cursor.execute("SHOW port")
            ports += cursor.fetchone()

    assert ports == [str(server.port) for server in postgres_servers]


@pytest.mark.usefixtures("redis_client")
def test_another_process_finds_the_same_redis() -> None:
    code = """
        import os
        os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
        from django.core.cache import cache
        cache.set("from", "afar")
    """

    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)

    assert cache.get("from") == "afar"


@pytest.mark.usefixtures("redis_server")
def test_the_servers_end_even_when_the_run_is_killed() -> None:
    code = """
        import os, signal
        from pathlib import Path
        from tests.servers.bed import Bed
        from tests.servers.addresses import free_port
        from tests.servers.redis_server import RedisServer
        from tools.servers import find_redis
        bed = Bed()
        server = RedisServer(find_redis(), bed.folder / "redis", free_port())
        server.start()
        print(server.process.pid, bed.folder, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """

    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )

    pid, folder = ended.stdout.split()
    assert ended.returncode == -signal.SIGKILL
    wait_until(lambda: not Path(folder).exists() and not _is_alive(int(pid)), LIMIT)


def test_a_port_is_one_whose_further_ports_are_free_too(monkeypatch: pytest.MonkeyPatch) -> None:
    first = addresses.free_port(CLUSTER_BUS)
    following = count(addresses.PORTS.index(first) + 1)
    monkeypatch.setattr(addresses, "_numbers", following)
    with socket.create_server(("127.0.0.1", first + 1 + CLUSTER_BUS)):
        second = addresses.free_port(CLUSTER_BUS)

    assert first + 1 < second < addresses.PORTS.stop - CLUSTER_BUS


def test_a_port_is_given_to_one_process_only() -> None:
    code = """
        import sys
        from itertools import count
        from tests.servers import addresses
        addresses._numbers = count(addresses.PORTS.index(int(sys.argv[1])))
        print(addresses.free_port())
    """
    own = addresses.free_port()

    other = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(own)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )

    assert int(other.stdout) > own


def _is_alive(pid: int) -> bool:
    # Where nobody collects orphans, an ended one stays listed as a zombie.
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "(zombie)" not in status.read_text()
