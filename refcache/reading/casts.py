"""Keys as callers spell them to keys as the database gives them: the front door of every read."""

from __future__ import annotations

import math
import reprlib
from decimal import Context, Decimal, DecimalException, Inexact, InvalidOperation
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.functional import Promise

from refcache.core.exceptions import InvalidKey
from refcache.reading import clock_casts
from refcache.reading.columns import (
    UnsupportedField,
    column_for,
    describe,
    find_by_class,
    stored_field,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from django.db.backends.base.base import BaseDatabaseWrapper

    Field = models.Field[Any, Any]
    Cast = Callable[[Any], Hashable]

_BIGINT = (-(2**63), 2**63 - 1)
# What numeric holds, https://www.postgresql.org/docs/current/datatype-numeric.html
_NUMERIC_DIGITS = (131_072, 16_383)

_REFUSALS = (TypeError, ValueError, ArithmeticError, ValidationError)


def key_caster(
    key: Field | Sequence[Field], connection: BaseDatabaseWrapper
) -> Callable[[object], Hashable]:
    """A function that casts whatever callers give as a key to what the database would give.

    Two spellings of one key become equal, and different keys stay different. What it lets
    through no database refuses: one refused key would fail a whole batch. Datetimes become UTC.
    `None` is the caller's business, alone and in tuples.

    Args:
        key: The key's field; several, or a CompositePrimaryKey, make tuples.
        connection: Of the database that is read; no query is sent.

    Returns:
        The function; it raises `InvalidKey`.

    Raises:
        UnsupportedField: A field that cannot be a key.
    """
    fields: Any = key.fields if isinstance(key, models.CompositePrimaryKey) else key
    if isinstance(fields, models.Field):
        return _guarded(fields, connection)
    casts = tuple(_guarded(field, connection) for field in fields)
    names = ", ".join(field.name for field in fields)

    def cast_tuple(values: object) -> Hashable:
        if not isinstance(values, (tuple, list)) or len(values) != len(casts):
            raise InvalidKey(f"{shown(values)} is not a key: expected a tuple of {names}.")
        return tuple(
            None if value is None else cast(value)
            for cast, value in zip(casts, values, strict=True)
        )

    return cast_tuple


def shown(key: object) -> str:
    """A key as messages name it; Python refuses to spell very long integers."""
    try:
        return reprlib.repr(key)
    except ValueError:
        return f"a {type(key).__name__} beyond all measure"


def _guarded(field: Field, connection: BaseDatabaseWrapper) -> Cast:
    column_for(field, field.name, connection)  # Refuses fields with a conversion of their own.
    stored = stored_field(field)
    make = find_by_class(_CASTS, stored)
    if make is None:
        raise UnsupportedField(
            f"{describe(field)} cannot be a key: a {type(stored).__name__} has no one spelling of "
            "a value. Use a field with single values, such as the primary key."
        )
    cast = make(stored, connection)
    low, high = own_integers(stored, connection)
    wanted = f"{describe(field)} ({type(stored).__name__})"

    def cast_key(key: object) -> Hashable:
        if type(key) is int and low <= key <= high:  # Nearly every key; a warm page's way.
            return key
        try:
            return cast(key)
        except _REFUSALS as exc:
            if isinstance(key, Promise):
                return cast_key(str(key))
            reason = exc.messages[0] if isinstance(exc, ValidationError) else str(exc)
            raise InvalidKey(
                f"{shown(key)} is not a key of {wanted}: {reason.rstrip('.')}."
            ) from exc

    return cast_key


def own_integers(field: Field, connection: BaseDatabaseWrapper) -> tuple[int, int]:
    """The least and the greatest integer that are keys of *field* as they are; (1, 0): none."""
    stored = stored_field(field)
    is_integer = find_by_class(_CASTS, stored) is _integer
    return _integer_range(stored, connection) if is_integer else (1, 0)


def _integer_range(field: Field, connection: BaseDatabaseWrapper) -> tuple[int, int]:
    try:
        low, high = connection.ops.integer_field_range(field.get_internal_type())
    except KeyError:  # An internal type that a subclass invented.
        return _BIGINT
    return low, high


def _integer(field: Field, connection: BaseDatabaseWrapper) -> Cast:
    low, high = _integer_range(field, connection)

    def cast(key: Any) -> int:
        number = key if type(key) is int else int(key)
        if number != key and not isinstance(key, str):
            raise ValueError("expected an integer")
        if low <= number <= high:
            return number
        raise ValueError(f"expected {low} to {high}")

    return cast


def _text(_field: Field, _connection: BaseDatabaseWrapper) -> Cast:
    return _cast_text


def _cast_text(key: object) -> str:
    if isinstance(key, str):
        text = str.__str__(key)  # str() would call a subclass's own __str__.
    elif isinstance(key, (int, float, Decimal, UUID)):
        text = str(key)
    else:
        raise TypeError("expected text")
    if "\0" in text:
        raise ValueError("text with a NUL is refused by databases")
    if not text.isascii():
        text.encode()  # Refuses lone surrogates, as databases do.
    return text


def _uuid(_field: Field, _connection: BaseDatabaseWrapper) -> Cast:
    def cast(key: object) -> UUID:
        if type(key) is UUID:
            return key
        if isinstance(key, (UUID, int)):
            return UUID(int=int(key))
        if isinstance(key, str):
            return UUID(key)
        raise TypeError("expected a UUID")

    return cast


def _decimal(field: models.DecimalField[Any, Any], _connection: BaseDatabaseWrapper) -> Cast:
    places, digits = field.decimal_places, field.max_digits
    exact = Context(prec=digits or sum(_NUMERIC_DIGITS), traps=[InvalidOperation, Inexact])

    def cast(key: object) -> Decimal:
        if not isinstance(key, (Decimal, int, float, str)):
            raise TypeError("expected a Decimal")
        value: Decimal = field.to_python(key)
        try:
            if places is None:
                value = value.normalize(exact)
            else:
                value = value.quantize(Decimal(1).scaleb(-places), context=exact)
        except DecimalException as exc:
            raise ValueError(f"expected at most {digits} digits, {places} of them decimal") from exc
        before, after = _NUMERIC_DIGITS
        if value.adjusted() >= before or value.adjusted() < -after:
            raise ValueError("expected a number that the database can hold")
        return value or value.copy_abs()  # One zero, not two.

    return cast


def _float(_field: Field, _connection: BaseDatabaseWrapper) -> Cast:
    def cast(key: object) -> float:
        if not isinstance(key, (float, int, str, Decimal)):
            raise TypeError("expected a float")
        number = float(key)
        if not math.isfinite(number) or (isinstance(key, int) and number != key):
            raise ValueError("expected a finite float")
        return number + 0.0  # One zero, not two.

    return cast


def _boolean(field: Field, _connection: BaseDatabaseWrapper) -> Cast:
    def cast(key: object) -> bool:
        value = field.to_python(key)
        if value is None:  # What a nullable field makes of empty text and containers.
            raise ValueError("expected a bool")
        return bool(value)

    return cast


def _binary(_field: Field, _connection: BaseDatabaseWrapper) -> Cast:
    def cast(key: object) -> bytes:
        if isinstance(key, (bytes, bytearray, memoryview)):
            return bytes(key)
        raise TypeError("expected bytes")

    return cast


def _ip_address(
    field: models.GenericIPAddressField[Any, Any], _connection: BaseDatabaseWrapper
) -> Cast:
    def cast(key: object) -> str:
        if "%" in str(key):  # Django drops the zone, and would find another address.
            raise ValueError("expected an address without a zone")
        address = str(field.to_python(key))
        ip_address(address)
        return address

    return cast


_FIELDS = "django.db.models.fields"
_CASTS: dict[str, Callable[[Any, BaseDatabaseWrapper], Cast]] = {
    f"{_FIELDS}.BinaryField": _binary,
    f"{_FIELDS}.BooleanField": _boolean,
    f"{_FIELDS}.CharField": _text,
    f"{_FIELDS}.DateField": clock_casts.date_caster,
    f"{_FIELDS}.DateTimeField": clock_casts.datetime_caster,
    f"{_FIELDS}.DecimalField": _decimal,
    f"{_FIELDS}.DurationField": clock_casts.duration_caster,
    f"{_FIELDS}.FilePathField": _text,
    f"{_FIELDS}.FloatField": _float,
    f"{_FIELDS}.GenericIPAddressField": _ip_address,
    f"{_FIELDS}.IntegerField": _integer,
    f"{_FIELDS}.TextField": _text,
    f"{_FIELDS}.TimeField": clock_casts.time_caster,
    f"{_FIELDS}.UUIDField": _uuid,
    f"{_FIELDS}.files.FileField": _text,
}
