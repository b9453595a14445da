"""Settings of the shop on real servers, as docs/outages.md recommends them for production.

`DATABASE_URL` (customers), `REPLICA_URL` (a streaming replica of it), `EVENTS_DATABASE_URL`
(orders) and `REDIS_URL` name the servers.
"""

import os

import dj_database_url

from real.counting import CountedConnection
from shop.settings import *  # noqa: F403 - settings are built on others
from shop.settings import CACHES

DEBUG = False
# In front of it stands a proxy, which knows its own names.
ALLOWED_HOSTS = ["localhost", "127.0.0.1"]

INSTALLED_APPS = [
    "rest_framework",
    "refcache",
    "refcache.outbox",
    "customers",
    "orders",
    "real",
]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
ROOT_URLCONF = "real.urls"

# The name says in the servers' logs and views whose connection it is.
POSTGRES_OPTIONS = {
    "application_name": os.environ.get("PROGRAM", "refcache"),
    "connect_timeout": 2,  # seconds
    "tcp_user_timeout": 5000,  # milliseconds; for a network that swallows everything
    "options": "-c statement_timeout=5s -c idle_in_transaction_session_timeout=30s",
}
DATABASES = {
    alias: dict(dj_database_url.parse(os.environ[variable], conn_max_age=60))
    | {"OPTIONS": POSTGRES_OPTIONS}
    for alias, variable in {
        "default": "DATABASE_URL",
        "replica": "REPLICA_URL",
        "events": "EVENTS_DATABASE_URL",
    }.items()
}
DATABASE_ROUTERS = ["real.routers.RealRouter"]

# Only because this example counts what it sends: a shop of your own leaves it out.
CACHES["default"]["OPTIONS"] = {
    "CONNECTION_POOL_KWARGS": {"connection_class": CountedConnection},
}

REFCACHE = {
    "SOFT_TIMEOUT": 0.3,  # seconds; then the old value, where one is tolerated
    "LOAD_TIMEOUT": 2.0,  # seconds; then the load has failed for its callers
    "STRICT": True,  # a write that cannot be marked is refused, and nobody reads an old value
}
