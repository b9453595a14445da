"""Keys that are dates and times, cast to what the database would give; a part of `casts`."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from django.utils import timezone

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db import models
    from django.db.backends.base.base import BaseDatabaseWrapper


def datetime_caster(
    field: models.DateTimeField[Any, Any], connection: BaseDatabaseWrapper
) -> Callable[[object], datetime]:
    is_aware = connection.timezone is not None

    def cast(key: object) -> datetime:
        key = field.to_python(key) if isinstance(key, str) else key
        if not isinstance(key, datetime):
            raise TypeError("expected a datetime")
        plain = datetime.combine(key.date(), key.timetz())
        if not is_aware:
            if plain.tzinfo is not None:
                raise ValueError("expected a datetime without a zone, as USE_TZ is off")
            return plain
        if timezone.is_naive(plain):  # Django takes them for the default zone's, too.
            plain = timezone.make_aware(plain, timezone.get_default_timezone())
        return plain.astimezone(UTC)

    return cast


def date_caster(
    field: models.DateField[Any, Any], _connection: BaseDatabaseWrapper
) -> Callable[[object], date]:
    def cast(key: object) -> date:
        key = field.to_python(key) if isinstance(key, str) else key
        if not isinstance(key, date) or isinstance(key, datetime):
            raise TypeError("expected a date")
        return date(key.year, key.month, key.day)

    return cast


def time_caster(
    field: models.TimeField[Any, Any], _connection: BaseDatabaseWrapper
) -> Callable[[object], time]:
    def cast(key: object) -> time:
        key = field.to_python(key) if isinstance(key, str) else key
        if not isinstance(key, time) or key.tzinfo is not None:
            raise TypeError("expected a time without a zone")
        return time(key.hour, key.minute, key.second, key.microsecond)

    return cast


def duration_caster(
    field: models.DurationField[Any, Any], connection: BaseDatabaseWrapper
) -> Callable[[object], timedelta]:
    low, high = timedelta.min, timedelta.max
    if not connection.features.has_native_duration_field:  # Microseconds in 64 bits.
        low, high = timedelta(microseconds=-(2**63)), timedelta(microseconds=2**63 - 1)

    def cast(key: object) -> timedelta:
        key = field.to_python(key) if isinstance(key, str) else key
        if not isinstance(key, timedelta):
            raise TypeError("expected a timedelta")
        if not low <= key <= high:
            raise ValueError(f"expected {low} to {high}")
        return timedelta(key.days, key.seconds, key.microseconds)

    return cast
