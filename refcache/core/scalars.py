"""The kinds of single values, as database columns hold them.

More public names than usual: the module is a table.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from msgspec import Meta

from refcache.core.columns import Kind, unfit


def _plain_kind(signature: str, carried: type, pack: Callable[[object], object]) -> Kind:
    return Kind(signature, carried, pack, frozenset({carried}), direct=carried)


def _pack_bool(value: object) -> bool:
    raise unfit(value, "a bool")


def _pack_int(value: object) -> int | str:
    if not isinstance(value, int):
        raise unfit(value, "an integer")
    value = int.__int__(value)
    # MessagePack has integers of 64 bits only; larger ones travel as text.
    return value if -(2**63) <= value < 2**64 else str(value)


def _unpack_int(raw: int | str) -> int:
    return raw if type(raw) is int else int(raw)


def _pack_float(value: object) -> float:
    if isinstance(value, float) or (isinstance(value, int) and float(value) == value):
        return float(value)
    raise unfit(value, "a float")


def _pack_bytes(value: object) -> bytes:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    raise unfit(value, "bytes")


def _pack_decimal(value: object) -> Decimal:
    if isinstance(value, Decimal):
        return Decimal(value)
    raise unfit(value, "a Decimal")


def _pack_date(value: object) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return date(value.year, value.month, value.day)
    raise unfit(value, "a date")


def _pack_time(value: object) -> time:
    if not isinstance(value, time) or value.tzinfo is not None:
        raise unfit(value, "a time without a zone")
    return time(value.hour, value.minute, value.second, value.microsecond)


def _pack_timedelta(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return timedelta(value.days, value.seconds, value.microseconds)
    raise unfit(value, "a timedelta")


def _pack_uuid(value: object) -> UUID:
    if isinstance(value, UUID):
        return UUID(int=value.int)
    raise unfit(value, "a UUID")


def _pack_naive(value: object) -> datetime:
    if not isinstance(value, datetime) or value.tzinfo is not None:
        raise unfit(value, "a datetime without a zone")
    return datetime.combine(value.date(), value.time())


def _pack_utc(value: object) -> datetime:
    if type(value) is datetime and value.tzinfo is UTC:
        return value
    return _aware(value).astimezone(UTC)


def _aware(value: object) -> datetime:
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise unfit(value, "a datetime with a zone")
    return datetime.combine(value.date(), value.timetz())


def text(lazy: tuple[type, ...] = ()) -> Kind:
    """Text; instances of *lazy* are text that is still to be evaluated."""

    def pack(value: object) -> str:
        if isinstance(value, lazy):
            value = str(value)
        if isinstance(value, str):
            return str.__str__(value)  # str() would call a subclass's own __str__.
        raise unfit(value, "text")

    return _plain_kind("str", str, pack)


def aware_datetime(zone: tzinfo) -> Kind:
    """Datetimes that come back in *zone*; fastest for `datetime.UTC`."""
    if zone is UTC:
        instant = Annotated[datetime, Meta(tz=True)]
        return Kind("datetime(UTC)", instant, _pack_utc, direct=instant)

    def pack(value: object) -> datetime:
        value = _aware(value)
        if value.tzinfo is not zone:
            value = value.astimezone(zone)
        # The clock's time, as SQLite and MariaDB keep it: one that the zone skips must come back
        # too. Only the second pass of an hour that occurs twice needs the instant.
        return value.astimezone(UTC) if value.fold else value.replace(tzinfo=None)

    def unpack(raw: datetime) -> datetime:
        return raw.replace(tzinfo=zone) if raw.tzinfo is None else raw.astimezone(zone)

    return Kind(f"datetime({zone!r})", datetime, pack, unpack=unpack)


_naive = Annotated[datetime, Meta(tz=False)]
_local_time = Annotated[time, Meta(tz=False)]

BOOL = _plain_kind("bool", bool, _pack_bool)
INT = Kind("int", int | str, _pack_int, unpack=_unpack_int, direct=int)
FLOAT = _plain_kind("float", float, _pack_float)
TEXT = text()
BYTES = _plain_kind("bytes", bytes, _pack_bytes)
DECIMAL = _plain_kind("decimal", Decimal, _pack_decimal)
NAIVE_DATETIME = Kind("datetime", _naive, _pack_naive, direct=_naive)
DATE = _plain_kind("date", date, _pack_date)
TIME = Kind("time", _local_time, _pack_time, direct=_local_time)
TIMEDELTA = _plain_kind("timedelta", timedelta, _pack_timedelta)
UUID_KIND = _plain_kind("uuid", UUID, _pack_uuid)
