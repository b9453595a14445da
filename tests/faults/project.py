"""A process's Django project: the servers and settings that a scenario gives it."""

import json
import logging
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import django
from django.conf import settings

from refcache import Staleness, references
from tests.faults.limits import TIMEOUT
from tests.servers.postgres_server import USER
from tests.servers.redis_group import NAME

DATABASE = "faults"
REFERENCE = "customer"


@dataclass(frozen=True, slots=True)
class Project:
    """What a process is told; it travels as JSON.

    Args:
        redis: The port of Redis, or those of its sentinels.
        databases: Their ports, by alias.
        settings: Of `REFCACHE`, beside the timeouts.
        reference: Of the reference; `staleness` as a dictionary.
        keys: How many rows there are; they are numbered from 0 on.
        seed: Of all choices.
        readers: Threads, or coroutines.
        awaits: Whether they are coroutines.
    """

    redis: int | list[int]
    databases: dict[str, int]
    settings: dict[str, Any] = field(default_factory=dict)
    reference: dict[str, Any] = field(default_factory=dict)
    keys: int = 40
    seed: int = 1
    readers: int = 4
    awaits: bool = False

    def text(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, text: str) -> Self:
        return cls(**json.loads(text))

    def set_up(self) -> None:
        """Configure Django for this process, and register the reference."""
        settings.configure(
            INSTALLED_APPS=["refcache", "tests.faults"],
            DATABASES={alias: _database(port) for alias, port in self.databases.items()},
            CACHES={"default": _cache(self.redis)},
            DJANGO_REDIS_CONNECTION_FACTORY=_factory(self.redis),
            REFCACHE={"TIMEOUT": TIMEOUT, "CONNECT_TIMEOUT": TIMEOUT, **self.settings},
            USE_TZ=True,
        )
        django.setup()
        # Thousands of warnings, which are the point here.
        logging.getLogger("refcache").setLevel(logging.ERROR)
        options = dict(self.reference)
        if staleness := options.pop("staleness", None):
            options["staleness"] = Staleness(**staleness)
        references.register("faults.Customer", ["value"], name=REFERENCE, **options)


def _database(port: int) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": "127.0.0.1",
        "PORT": port,
        "USER": USER,
        "NAME": DATABASE,
        # As in a project that cares for latency; whoever serves requests closes broken ones.
        "CONN_MAX_AGE": None,
    }


def _cache(redis: int | list[int]) -> dict[str, Any]:
    backend = {"BACKEND": "django_redis.cache.RedisCache", "KEY_PREFIX": "faults"}
    if isinstance(redis, int):
        return {**backend, "LOCATION": f"redis://127.0.0.1:{redis}/0"}
    options = {
        "CLIENT_CLASS": "django_redis.client.SentinelClient",
        "SENTINELS": [("127.0.0.1", port) for port in redis],
    }
    return {**backend, "LOCATION": f"redis://{NAME}/0", "OPTIONS": options}


def _factory(redis: int | list[int]) -> str:
    kind = "ConnectionFactory" if isinstance(redis, int) else "SentinelConnectionFactory"
    return f"django_redis.pool.{kind}"
