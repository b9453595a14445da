"""The Django project of the tests: two databases and Redis, all of the run's own.

Nothing is started here: tests that need a server ask for its fixture.
"""

from typing import Any

from tests.servers.addresses import addresses
from tests.servers.postgres_server import USER


def _database(name: str, port: int) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": "127.0.0.1",
        "PORT": port,
        "USER": USER,
        "NAME": name,
        # The same name, so that processes which the tests start find the tests' tables.
        "TEST": {"NAME": name},
    }


SECRET_KEY = "not a secret"  # noqa: S105 - it guards nothing
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "rest_framework",
    "refcache",
    "tests.restapp",
    "tests.testapp",
]

DATABASES = {
    "default": _database("application", addresses().application),
    "events": _database("events", addresses().events),
}

DATABASE_ROUTERS = [
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
