"""The servers of a run, each as docker-compose.yml has it, on the programs that the tests use."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import psycopg

from tests.servers.addresses import free_port
from tests.servers.postgres_replica import PostgresReplica
from tests.servers.postgres_server import PostgresServer
from tests.servers.redis_server import RedisServer
from tools.servers import find_postgres, find_redis

DATABASE = "refcache"
# As docs/outages.md says: references that fill from a replica need noeviction. Nothing is kept on a
# disk, as what a restart brings back counts as nothing.
REDIS_OPTIONS = {"maxmemory": "1gb", "maxmemory-policy": "noeviction"}
# Each logs in as itself, so that the servers can tell whose statements they have counted.
ROLES = ("web", "relay", "writer", "outside")
# Who may read and write all tables, and make none.
RIGHTS = "LOGIN IN ROLE pg_read_all_data, pg_write_all_data"

# Each role's statements, without what Django sends when it opens a connection.
STATISTICS = {
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.max": "10000",
    "pg_stat_statements.track_utility": "off",
}
LOGS = {"log_statement": "all", "log_line_prefix": "%u|", "log_min_duration_statement": "-1"}


@dataclass(frozen=True, slots=True)
class Servers:
    """What the programs connect to.

    Args:
        logs: The databases' logs tell of statements, as they have no pg_stat_statements.
    """

    redis: RedisServer
    application: PostgresServer
    replica: PostgresReplica
    events: PostgresServer
    logs: bool

    @property
    def databases(self) -> dict[str, PostgresServer]:
        """By alias."""
        return {"default": self.application, "replica": self.replica, "events": self.events}

    def environ(self, role: str) -> dict[str, str]:
        """Where a program finds them, and as whom it logs in."""
        own = {alias: url_of(server, role) for alias, server in self.databases.items()}
        return {
            "DATABASE_URL": own["default"],
            "REPLICA_URL": own["replica"],
            "EVENTS_DATABASE_URL": own["events"],
            "REDIS_URL": self.redis.url,
        }


@contextmanager
def servers(folder: Path, *, log: bool) -> Iterator[Servers]:
    """All of them, running; ended when the block is."""
    postgres = find_postgres() or _missing("PostgreSQL")
    program = find_redis() or _missing("redis-server")
    options = [part for name, value in REDIS_OPTIONS.items() for part in (f"--{name}", value)]
    application = PostgresServer(postgres, folder / "application", free_port())
    events = PostgresServer(postgres, folder / "events", free_port())
    replica = PostgresReplica(application, folder / "replica", free_port())
    redis = RedisServer(program, folder / "redis", free_port(), *options)
    with ExitStack() as stack:
        for each in (redis, application, events):
            each.start()
            stack.callback(each.stop)
        has_statistics = not log and _has_statistics(application)
        for each in (application, events):
            _configure(each, STATISTICS if has_statistics else LOGS)
            _make(each, with_statistics=has_statistics)
        # Copied with all of that; it ends before its primary.
        replica.start()
        stack.callback(replica.stop)
        yield Servers(redis, application, replica, events, logs=not has_statistics)


def url_of(server: PostgresServer, role: str) -> str:
    return server.url_of(DATABASE).replace("//refcache@", f"//{role}@")


def _has_statistics(server: PostgresServer) -> bool:
    """Whether the extension came with the programs; those in the wheel of pgserver lack it."""
    known = "SELECT 1 FROM pg_available_extensions WHERE name = 'pg_stat_statements'"
    with psycopg.connect(server.url) as connection:
        return connection.execute(known).fetchone() is not None


def _configure(server: PostgresServer, settings: dict[str, str]) -> None:
    server.stop()
    # ALTER SYSTEM would refuse settings of a library that is not loaded yet.
    with (server.process.folder / "data" / "postgresql.conf").open("a") as file:
        file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
    server.start()


def _make(server: PostgresServer, *, with_statistics: bool) -> None:
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {DATABASE}")
        for role in ROLES:
            connection.execute(f"CREATE ROLE {role} {RIGHTS}".encode())
        if with_statistics:
            connection.execute("CREATE EXTENSION pg_stat_statements")


def _missing(what: str) -> NoReturn:
    raise SystemExit(f"{what} was not found: `make example-real` gets it.")
