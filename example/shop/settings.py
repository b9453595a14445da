"""Settings of the shop: two databases, one Redis, and refcache between them.

Without any environment variable it runs on two SQLite files and an embedded Redis. `DATABASE_URL`
(customers), `EVENTS_DATABASE_URL` (orders) and `REDIS_URL` put it on real servers.
"""

import os
from pathlib import Path
from typing import Any

import dj_database_url

from shop.metering import connection_class_for

BASE_DIR = Path(__file__).resolve().parent.parent
FILES = BASE_DIR / "var"

DEBUG = os.environ.get("DEBUG", "1") == "1"
SECRET_KEY = "the example signs nothing, so this is no secret"  # noqa: S105 - see the value
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]"]

INSTALLED_APPS = [
    "django.contrib.staticfiles",
    "rest_framework",
    "refcache",
    "customers",
    "orders",
    "patterns",
]
MIDDLEWARE = ["shop.middleware.CostHeader", "django.middleware.common.CommonMiddleware"]
ROOT_URLCONF = "shop.urls"
STATIC_URL = "static/"
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"


def database(variable: str, file_name: str) -> dict[str, Any]:
    """Give the database that the environment names, or else a SQLite file."""
    if url := os.environ.get(variable):
        return dict(dj_database_url.parse(url, conn_max_age=60))
    FILES.mkdir(exist_ok=True)
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": FILES / file_name}


DATABASES = {
    "default": database("DATABASE_URL", "customers.sqlite3"),
    "events": database("EVENTS_DATABASE_URL", "events.sqlite3"),
}
# The patterns that join in the database read the orders' table as models of their own.
SILENCED_SYSTEM_CHECKS = ["models.W035"]
DATABASE_ROUTERS = ["patterns.routers.PatternsRouter", "shop.routers.EventsRouter"]

REDIS_URL = os.environ.get("REDIS_URL", "embedded://")
CACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        # The embedded Redis lives in this process; django-redis wants an address all the same.
        "LOCATION": REDIS_URL.replace("embedded://", "redis://embedded:6379/0"),
        "KEY_PREFIX": "refcache-example",
        # Only because this example counts its round trips: a shop of your own leaves it out.
        "OPTIONS": {
            "CONNECTION_POOL_KWARGS": {"connection_class": connection_class_for(REDIS_URL)},
        },
    },
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "UNAUTHENTICATED_USER": None,
}
