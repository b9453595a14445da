"""The settings: `REFCACHE` becomes one frozen value, read here and nowhere else."""

from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, fields
from difflib import get_close_matches
from functools import cache, partial
from math import inf
from typing import Any, Literal

from django.conf import settings
from django.core import mail
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from refcache.core.exceptions import InvalidReference
from refcache.core.staleness import seconds

PerRowPolicy = Literal["count", "raise"]
Refresh = Callable[[dict[str, list[Any]], float], object]


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
    breaker_failures: int = 3
    breaker_pause: float = 0.5
    soft_timeout: float | None = None
    load_timeout: float | None = None
    load_threads: int = 8
    refresh_threads: int = 2
    early_refresh: float = 1.0
    executor: str | None = None
    copies: int = 4096

    @property
    def refresh_elsewhere(self) -> Refresh | None:
        """What EXECUTOR names; it is imported at the first call.

        Raises:
            ImproperlyConfigured: It cannot be imported, or be called.
        """
        if self.executor is None:
            return None
        try:
            refresh: Refresh = import_string(self.executor)
        except Exception as exc:  # A module may raise anything while it is imported.
            raise ImproperlyConfigured(
                f"REFCACHE['EXECUTOR'] names {self.executor!r}, which cannot be imported: "
                f"{type(exc).__name__}: {exc}"
            ) from exc
        if not callable(refresh):
            raise ImproperlyConfigured(
                f"REFCACHE['EXECUTOR'] names {self.executor!r}, which is {refresh!r}: name a "
                "callable that takes {reference: [key, ...]} and a number of seconds."
            )
        return refresh

    @property
    def raises_per_row(self) -> bool:
        if self.per_row is not None:
            return self.per_row == "raise"
        # Django's test runner and pytest-django make an outbox; that is how it documents itself.
        return settings.DEBUG or hasattr(mail, "outbox")


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
    checked = {
        name.lower(): CHECKS[name.lower()](f"REFCACHE[{name!r}]", value)
        for name, value in given.items()
    }
    return Conf(**checked)


def _check_name(name: object) -> None:
    known = [each.upper() for each in DEFAULTS]
    if name in known:
        return
    nearest = get_close_matches(str(name).upper(), known, n=1)
    meant = f" Did you mean {nearest[0]!r}?" if nearest else ""
    raise ImproperlyConfigured(
        f"REFCACHE has no setting {name!r} (known: {', '.join(known)}).{meant}"
    )


def _positive_duration(name: str, value: Any) -> float:
    try:
        duration = seconds(value, name)
    except InvalidReference as exc:
        raise ImproperlyConfigured(str(exc)) from exc
    if duration == 0:
        raise ImproperlyConfigured(f"{name} is 0: give seconds > 0.")
    return duration


def _no_limit_or_duration(name: str, value: Any) -> float | None:
    return None if value is None else _positive_duration(name, value)


def _whole(name: str, value: Any, least: int) -> int:
    if type(value) is not int or value < least:
        raise ImproperlyConfigured(f"{name} is {value!r}: give a whole number >= {least}.")
    return value


def _number(name: str, value: Any, *, below: float = inf, most: float = inf) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not (0 <= value <= most and value < below):
        limit = f"<= {most}" if below == inf else f"< {below}"
        raise ImproperlyConfigured(f"{name} is {value!r}: give 0 <= number {limit}.")
    return float(value)


def _one_of(name: str, value: Any, allowed: Sequence[object]) -> Any:
    # 1 is as good as True for `in`.
    if not any(value is each or (value == each and isinstance(each, str)) for each in allowed):
        *others, last = map(repr, allowed)
        raise ImproperlyConfigured(f"{name} is {value!r}: give {', '.join(others)} or {last}.")
    return value


def _alias(name: str, value: Any) -> str:
    if not (isinstance(value, str) and value in settings.CACHES):
        known = ", ".join(settings.CACHES)
        raise ImproperlyConfigured(
            f"{name} names {value!r}, which is no alias of CACHES (known: {known})."
        )
    return value


def _dotted_path(name: str, value: Any) -> str | None:
    if value is None or (isinstance(value, str) and "." in value):
        return value
    raise ImproperlyConfigured(
        f"{name} is {value!r}: give the dotted path of a callable, 'mysite.tasks.refresh', or None."
    )


_positive = partial(_whole, least=1)

# What each setting may be; each takes the setting's name, as it stands in messages, and its value.
CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "cache": _alias,
    "timeout": _positive_duration,
    "connect_timeout": _positive_duration,
    "max_connections": _positive,
    "lease_timeout": _positive_duration,
    "lease_wait": _positive_duration,
    "write_timeout": _positive_duration,
    "jitter": partial(_number, below=1),
    "chunk_size": _positive,
    "per_row": partial(_one_of, allowed=("count", "raise", None)),
    "strict": partial(_one_of, allowed=(True, False)),
    "bulk_limit": _positive,
    "breaker_failures": _positive,
    "breaker_pause": _positive_duration,
    "soft_timeout": _no_limit_or_duration,
    "load_timeout": _no_limit_or_duration,
    "load_threads": _positive,
    "refresh_threads": _positive,
    # Beyond, any value is loaded at each read; with huge ones its age is no longer a number.
    "early_refresh": partial(_number, most=100),
    "executor": _dotted_path,
    "copies": partial(_whole, least=0),
}


def _forget(*, setting: str, **_: object) -> None:
    if setting in ("REFCACHE", "CACHES"):
        conf.cache_clear()


setting_changed.connect(_forget, dispatch_uid="refcache.conf")
