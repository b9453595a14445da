"""What the options of a CACHES alias mislead about; for the system checks."""

from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from django.conf import settings

DJANGO_REDIS = "django_redis.cache.RedisCache"

# What django-redis connects with, and the setting that refcache has in its place.
REPLACED = {
    "socket_timeout": "TIMEOUT",
    "socket_connect_timeout": "CONNECT_TIMEOUT",
    "max_connections": "MAX_CONNECTIONS",
}

# What goes into a pool, besides the address.
POOL_OPTIONS = (
    "USERNAME",
    "PASSWORD",
    "SOCKET_TIMEOUT",
    "SOCKET_CONNECT_TIMEOUT",
    "PARSER_CLASS",
    "CONNECTION_POOL_CLASS",
    "CONNECTION_POOL_KWARGS",
)


class Advice(NamedTuple):
    """What is wrong, and what to do."""

    message: str
    hint: str


def unused_options(alias: str) -> Iterator[Advice]:
    """Limits that hold for the project's own cache only, where nothing says what refcache's are."""
    options = _options(alias)
    given = {name.lower() for name in options} | {*options.get("CONNECTION_POOL_KWARGS", {})}
    for address in addresses(alias):
        given |= parse_qs(urlsplit(address).query).keys()
    chosen = getattr(settings, "REFCACHE", {})
    unused = {old: new for old, new in REPLACED.items() if old in given and new not in chosen}
    if unused:
        yield Advice(
            f"CACHES[{alias!r}] sets {', '.join(unused)}, which hold for Django's cache only: "
            "refcache has connections of its own.",
            f"Say {', '.join(unused.values())} in REFCACHE.",
        )


def shared_pools(alias: str) -> Iterator[Advice]:
    """Other aliases with which django-redis shares a pool that is right for one of them only."""
    own = _pool_options(alias)
    for other, configured in settings.CACHES.items():
        if other == alias or configured["BACKEND"] != DJANGO_REDIS:
            continue
        if addresses(alias) & addresses(other) and _pool_options(other) != own:
            yield Advice(
                f"CACHES[{alias!r}] and CACHES[{other!r}] have an address in common and different "
                "connection options: django-redis gives both the pool of the one that is used "
                "first. (refcache's own pools are not concerned.)",
                "Give them the same options, or different database numbers.",
            )


def addresses(alias: str) -> set[str]:
    location: str | list[str] = _configured(alias).get("LOCATION", "")
    return set(location.split(",") if isinstance(location, str) else location)


def _configured(alias: str) -> dict[str, Any]:
    configured: dict[str, Any] = settings.CACHES[alias]
    return configured


def _options(alias: str) -> dict[str, Any]:
    options: dict[str, Any] = _configured(alias).get("OPTIONS", {})
    return options


def _pool_options(alias: str) -> dict[str, Any]:
    options = _options(alias)
    return {name: options[name] for name in POOL_OPTIONS if name in options}
