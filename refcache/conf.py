"""The settings: `REFCACHE` becomes one frozen value, read here and nowhere else."""

from dataclasses import MISSING, dataclass, fields
from difflib import get_close_matches
from functools import cache
from typing import Any, Literal

from django.conf import settings
from django.core import mail
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from refcache.core.exceptions import InvalidReference
from refcache.core.staleness import seconds

PerRowPolicy = Literal["count", "raise"]


@dataclass(frozen=True, slots=True)
class Conf:
    """What `REFCACHE` says; durations in seconds. docs/settings.md explains each."""

    cache: str = "default"
    timeout: float = 0.1
    connect_timeout: float = 0.1
    max_connections: int = 100
    lease_timeout: float = 10.0
    lease_wait: float = 1.0
    write_timeout: float = 60.0
    jitter: float = 0.1
    chunk_size: int = 1000
    per_row: PerRowPolicy | None = None
    strict: bool = False
    bulk_limit: int = 1000

    @property
    def raises_per_row(self) -> bool:
        if self.per_row is not None:
            return self.per_row == "raise"
        # Django's test runner and pytest-django make an outbox; that is how it documents itself.
        return settings.DEBUG or hasattr(mail, "outbox")


DURATIONS = ("timeout", "connect_timeout", "lease_timeout", "lease_wait", "write_timeout")
COUNTS = ("max_connections", "chunk_size", "bulk_limit")
DEFAULTS = {f.name: f.default for f in fields(Conf) if f.default is not MISSING}


@cache
def conf() -> Conf:
    """The project's settings.

    Raises:
        ImproperlyConfigured: `REFCACHE` is not what docs/settings.md allows.
    """
    given = getattr(settings, "REFCACHE", {})
    if not isinstance(given, dict):
        raise ImproperlyConfigured(
            f"REFCACHE is {type(given).__name__}, but must be a dictionary of settings."
        )
    for name in given:
        _check_name(name)
    return Conf(**{name.lower(): _checked(name, value) for name, value in given.items()})


def _check_name(name: object) -> None:
    known = [each.upper() for each in DEFAULTS]
    if name in known:
        return
    nearest = get_close_matches(str(name).upper(), known, n=1)
    meant = f" Did you mean {nearest[0]!r}?" if nearest else ""
    raise ImproperlyConfigured(
        f"REFCACHE has no setting {name!r} (known: {', '.join(known)}).{meant}"
    )


def _checked(name: str, value: Any) -> Any:
    key = name.lower()
    if key in DURATIONS:
        return _positive_duration(name, value)
    if key in COUNTS and (type(value) is not int or value < 1):
        raise ImproperlyConfigured(f"REFCACHE[{name!r}] is {value!r}: give a whole number >= 1.")
    if key == "strict" and type(value) is not bool:
        raise ImproperlyConfigured(f"REFCACHE[{name!r}] is {value!r}: give True or False.")
    if key == "jitter" and not (isinstance(value, int | float) and 0 <= value < 1):
        raise ImproperlyConfigured(f"REFCACHE['JITTER'] is {value!r}: give 0 <= number < 1.")
    if key == "cache" and not (isinstance(value, str) and value in settings.CACHES):
        known = ", ".join(settings.CACHES)
        raise ImproperlyConfigured(
            f"REFCACHE['CACHE'] names {value!r}, which is no alias of CACHES (known: {known})."
        )
    if key == "per_row" and value not in (None, "count", "raise"):
        raise ImproperlyConfigured(
            f"REFCACHE['PER_ROW'] is {value!r}: give 'count', 'raise' or None."
        )
    return value


def _positive_duration(name: str, value: Any) -> float:
    try:
        duration = seconds(value, f"REFCACHE[{name!r}]")
    except InvalidReference as exc:
        raise ImproperlyConfigured(str(exc)) from exc
    if duration == 0:
        raise ImproperlyConfigured(f"REFCACHE[{name!r}] is 0: give seconds > 0.")
    return duration


def _forget(*, setting: str, **_: object) -> None:
    if setting in ("REFCACHE", "CACHES"):
        conf.cache_clear()


setting_changed.connect(_forget, dispatch_uid="refcache.conf")
