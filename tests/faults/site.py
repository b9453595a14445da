"""The servers of one scenario, and the project that its processes are told of."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
from redis import Redis

from tests.faults.limits import LIMIT
from tests.faults.project import DATABASE, Project
from tests.servers.addresses import free_port
from tests.servers.postgres_replica import PostgresReplica
from tests.servers.postgres_server import PostgresServer
from tests.servers.process import wait_until
from tests.servers.proxy import Proxy
from tests.servers.redis_group import RedisGroup
from tests.servers.redis_server import RedisServer
from tools.servers import find_redis

# Writes that are waited for, where a scenario needs some to have happened.
SOME = 5


@dataclass(frozen=True, slots=True)
class Site:
    """What a scenario's fault can hurt.

    Args:
        redis: One of its own; with sentinels it is not used.
        redis_proxy: Before it. The processes go through it where the scenario says so.
        postgres: Shared by all scenarios, and whole again after each.
        postgres_proxy: Before it, as for Redis.
        group: With sentinels only.
        replica: Of `postgres`; with a replica only.
    """

    redis: RedisServer
    redis_proxy: Proxy
    postgres: PostgresServer
    postgres_proxy: Proxy
    group: RedisGroup | None
    replica: PostgresReplica | None

    def project(self, proxied: str, **told: Any) -> Project:
        """The project of processes that find these servers.

        Args:
            proxied: "redis" or "postgres", which they reach through its proxy; or nothing.
            told: Further arguments of `Project`.
        """
        ports = {
            "redis": self.redis_proxy.port if proxied == "redis" else self.redis.port,
            "default": self.postgres_proxy.port if proxied == "postgres" else self.postgres.port,
        }
        databases = {"default": ports["default"]}
        if self.replica:
            databases["replica"] = self.replica.port
        sentinels = [each.port for each in self.group.sentinels] if self.group else None
        return Project(redis=sentinels or ports["redis"], databases=databases, **told)

    @contextmanager
    def client(self) -> Iterator[Redis]:
        """A client of the one Redis."""
        with Redis.from_url(self.redis.url) as client:
            yield client

    def stored(self) -> dict[int, int]:
        """Value by key, as the database has them."""
        with _connect(self.postgres) as connection:
            return dict(connection.execute("SELECT id, value FROM customer").fetchall())

    def is_behind(self) -> bool:
        """Whether the replica lacks several of the writes that have been committed."""
        assert self.replica
        with _connect(self.replica) as connection:
            (seen,) = connection.execute("SELECT max(value) FROM customer").fetchone() or (0,)
        return bool(seen + SOME <= max(self.stored().values()))

    def wait_for_writes(self) -> None:
        """Return when some more have been committed."""
        before = max(self.stored().values())
        wait_until(lambda: max(self.stored().values()) >= before + SOME, LIMIT)


@contextmanager
def site(
    folder: Path,
    postgres: PostgresServer,
    *,
    rows: int,
    sentinels: bool = False,
    replica: bool = False,
) -> Iterator[Site]:
    """Servers with fresh rows, whose values are 0; ended, or mended, at the end of the block."""
    program = find_redis()
    assert program
    with ExitStack() as stack:
        stack.callback(postgres.mend)
        server = RedisServer(program, folder / f"redis-{(port := free_port())}", port)
        server.start()
        stack.callback(server.kill)
        made = Site(
            redis=server,
            redis_proxy=stack.enter_context(Proxy(server.port)),
            postgres=postgres,
            postgres_proxy=stack.enter_context(Proxy(postgres.port)),
            group=None,
            replica=None,
        )
        _make_rows(postgres, rows)
        if sentinels:
            made = replace(made, group=_group(folder, stack))
        if replica:
            made = replace(made, replica=_replica(folder, postgres, stack))
        yield made


def _make_rows(postgres: PostgresServer, rows: int) -> None:
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
        if not known.fetchone():
            connection.execute(f"CREATE DATABASE {DATABASE}")
    with _connect(postgres) as connection:
        connection.execute("DROP TABLE IF EXISTS customer")
        connection.execute("CREATE TABLE customer (id bigint PRIMARY KEY, value bigint NOT NULL)")
        numbered = "INSERT INTO customer SELECT n, 0 FROM generate_series(0, %s) AS n"
        connection.execute(numbered, [rows - 1])


def _connect(postgres: PostgresServer) -> "psycopg.Connection[tuple[Any, ...]]":
    return psycopg.connect(postgres.url_of(DATABASE), autocommit=True)


def _group(folder: Path, stack: ExitStack) -> RedisGroup:
    program = find_redis()
    assert program
    group = RedisGroup(program, folder / f"group-{free_port()}")
    stack.callback(group.kill)
    group.start()
    return group


def _replica(folder: Path, postgres: PostgresServer, stack: ExitStack) -> PostgresReplica:
    port = free_port()
    replica = PostgresReplica(postgres, folder / f"replica-{port}", port)
    stack.callback(replica.kill)
    replica.start()
    return replica
