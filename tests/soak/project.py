"""A Django project for one run: a Redis and a database of its own."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import django
import pymysql
from django.conf import settings

from tests.servers import mariadb_server, postgres_server
from tests.servers.addresses import free_port
from tests.servers.bed import Bed
from tests.servers.redis_server import RedisServer
from tools.servers import find_mariadb, find_postgres, find_redis

TIMEOUT = 10.0  # seconds; no read shall go past Redis because the machine is loaded
# How long a killed writer's markers stand. A transaction takes some milliseconds, and waits for a
# lock for half a second; what takes longer than half of this is counted.
WRITE_TIMEOUT = 2.0

# A deadlock between writers is an error soon. A server's user may set this for itself.
POSTGRES_OPTIONS = "-c lock_timeout=500 -c deadlock_timeout=50"


@contextmanager
def project(database: str) -> Iterator[Path]:
    """Start the servers and set Django up; gives the run's folder, which ends with the block."""
    with Bed() as bed, ExitStack() as servers:
        settings.configure(
            INSTALLED_APPS=["refcache", "tests.soak"],
            DATABASES={"default": DATABASES[database](bed.folder, servers)},
            CACHES={
                "default": {
                    "BACKEND": "django_redis.cache.RedisCache",
                    "LOCATION": _start_redis(bed.folder, servers),
                    "KEY_PREFIX": f"soak-{os.getpid()}",
                }
            },
            REFCACHE={
                "TIMEOUT": TIMEOUT,
                "CONNECT_TIMEOUT": TIMEOUT,
                "WRITE_TIMEOUT": WRITE_TIMEOUT,
            },
            USE_TZ=True,
        )
        django.setup()
        yield bed.folder


def _start_redis(folder: Path, servers: ExitStack) -> str:
    program = find_redis() or _missing("redis-server")
    server = RedisServer(program, folder / "redis", free_port())
    server.start()
    servers.callback(server.stop)
    return server.url


def _postgres(folder: Path, servers: ExitStack) -> dict[str, Any]:
    program = find_postgres() or _missing("PostgreSQL")
    server = postgres_server.PostgresServer(program, folder / "postgres", free_port())
    server.start()
    servers.callback(server.stop)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": "127.0.0.1",
        "PORT": server.port,
        "USER": postgres_server.USER,
        "NAME": "postgres",
        "OPTIONS": {"options": POSTGRES_OPTIONS},
    }


def _mariadb(folder: Path, servers: ExitStack) -> dict[str, Any]:
    program = find_mariadb() or _missing("MariaDB")
    # Django asks for MySQLdb (mysqlclient), which has no wheels for Linux.
    pymysql.install_as_MySQLdb()
    server = mariadb_server.MariadbServer(program, folder / "mariadb", free_port())
    server.start()
    servers.callback(server.stop)
    return {
        "ENGINE": "django.db.backends.mysql",
        "HOST": "127.0.0.1",
        "PORT": server.port,
        "USER": mariadb_server.USER,
        "NAME": "mysql",
        "OPTIONS": {"init_command": "SET SESSION innodb_lock_wait_timeout = 1"},
    }


def _sqlite(folder: Path, _: ExitStack) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": folder / "rows.sqlite3",
        "OPTIONS": {
            "init_command": "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF",
            "timeout": 0.5,
        },
    }


DATABASES = {"default": _postgres, "mariadb": _mariadb, "sqlite": _sqlite}


def _missing(what: str) -> Any:
    raise SystemExit(f"{what} was not found: `make soak` gets it.")
