"""A Django project for one run: a Redis and a database of its own."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import django
from django.conf import settings

from tests.servers.addresses import free_port
from tests.servers.bed import Bed
from tests.servers.postgres_server import USER, PostgresServer
from tests.servers.redis_server import RedisServer
from tools.servers import find_postgres, find_redis

TIMEOUT = 5.0  # seconds; for a loaded machine


@contextmanager
def project() -> Iterator[None]:
    """Start the servers and set Django up; all of it ends with the block.

    `REDIS_URL` names a Redis that is there already; this run's keys have a prefix of their own.
    """
    with Bed() as bed, ExitStack() as servers:
        redis_url = os.environ.get("REDIS_URL") or _start_redis(bed.folder, servers)
        settings.configure(
            INSTALLED_APPS=["refcache", "refcache.outbox", "benchmarks"],
            DATABASES={"default": _start_database(bed.folder, servers)},
            CACHES={
                "default": {
                    "BACKEND": "django_redis.cache.RedisCache",
                    "LOCATION": redis_url,
                    "KEY_PREFIX": f"bench-{os.getpid()}",
                }
            },
            DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
            REFCACHE={"TIMEOUT": TIMEOUT, "CONNECT_TIMEOUT": TIMEOUT},
            USE_TZ=True,
        )
        django.setup()
        yield


def _start_redis(folder: Path, servers: ExitStack) -> str:
    program = find_redis()
    if program is None:
        raise SystemExit("redis-server was not found: `make bench` gets it, or set REDIS_URL.")
    server = RedisServer(program, folder / "redis", free_port())
    server.start()
    servers.callback(server.stop)
    return server.url


def _start_database(folder: Path, servers: ExitStack) -> dict[str, Any]:
    program = find_postgres()
    if program is None:
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": folder / "rows.sqlite3"}
    server = PostgresServer(program, folder / "postgres", free_port())
    server.start()
    servers.callback(server.stop)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": "127.0.0.1",
        "PORT": server.port,
        "USER": USER,
        "NAME": "postgres",
    }
