"""The Django project of the tests: databases and Redis, all of the run's own.

Nothing is started here: tests that need a server ask for its fixture.
"""

import os
from typing import Any

import pymysql

from tests.servers import mariadb_server, postgres_server
from tests.servers.addresses import SQLITE_VARIABLE, addresses
from tools.servers import find_mariadb

# Django asks for MySQLdb (mysqlclient), which has no wheels for Linux.
pymysql.install_as_MySQLdb()


def _database(engine: str, user: str, name: str, port: int) -> dict[str, Any]:
    return {
        "ENGINE": f"django.db.backends.{engine}",
        "HOST": "127.0.0.1",
        "PORT": port,
        "USER": user,
        "NAME": name,
        # The same name, so that processes which the tests start find the tests' tables.
        # Of no other database, so that each can be made alone.
        "TEST": {"NAME": name, "DEPENDENCIES": []},
    }


SECRET_KEY = "not a secret"  # noqa: S105 - it guards nothing
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "rest_framework",
    "refcache",
    "refcache.outbox",
    "tests.relations",
    "tests.restapp",
    "tests.routing",
    "tests.testapp",
]

POSTGRES = ("postgresql", postgres_server.USER)
DATABASES = {
    "default": _database(*POSTGRES, "application", addresses().application),
    "events": _database(*POSTGRES, "events", addresses().events),
    "sqlite": {
        "ENGINE": "django.db.backends.sqlite3",
        # Known to processes that the tests start; their own is told later.
        "NAME": os.environ.get(SQLITE_VARIABLE, ""),
        "TEST": {"DEPENDENCIES": []},
        "OPTIONS": {
            # Readers and the writer do not wait for each other; the disk is not waited for.
            "init_command": "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF",
            # For a second writer on a loaded machine.
            "timeout": 30.0,
        },
    },
}
if find_mariadb():
    # All but the tests for it run without it.
    DATABASES["mariadb"] = _database("mysql", mariadb_server.USER, "rows", addresses().mariadb)

DATABASE_ROUTERS = [
    "tests.relations.routers.RelationsRouter",
    "tests.restapp.routers.RestRouter",
    "tests.testapp.routers.EventsRouter",
]

CACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": f"redis://127.0.0.1:{addresses().redis}/0",
        "KEY_PREFIX": "test",
    },
}

REFCACHE = {
    # For a loaded machine: no test shall pass or fail because Redis was slow.
    "TIMEOUT": 5.0,
    "CONNECT_TIMEOUT": 5.0,
}
