"""Django's fields to column kinds: what `values_list()` gives for each, on every backend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

from django.db import models
from django.utils.functional import Promise

from refcache.core import scalars
from refcache.core.columns import Column, Kind
from refcache.core.containers import HSTORE, array, composite, json_document, range_of
from refcache.core.exceptions import InvalidReference

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from django.contrib.postgres.fields import ArrayField
    from django.contrib.postgres.fields.ranges import RangeField
    from django.db.backends.base.base import BaseDatabaseWrapper

    Field = models.Field[Any, Any]

T = TypeVar("T")


class UnsupportedField(InvalidReference, TypeError):
    """Values of this field could not be stored and come back exactly as they were."""


def column_for(field: Field, name: str, connection: BaseDatabaseWrapper) -> Column:
    """The column *name* of a row, holding *field* as a query over *connection* gives it.

    Args:
        field: A concrete field, or a CompositePrimaryKey: its values are tuples.
        name: What the column is called in the snapshot.
        connection: Of the database that is read; no query is sent.

    Raises:
        UnsupportedField: The field is none of Django's, or has a conversion of its own.
    """
    return Column(name, _kind(field, connection))


def stored_field(field: Field) -> Field:
    """The field that says what the column of *field* holds: a foreign key's target, for one."""
    while True:
        if isinstance(field, models.ForeignKey):
            field = field.target_field
        elif isinstance(field, models.GeneratedField):
            field = cast("Field", field.output_field)  # None only until the class is made.
        else:
            return field


def find_by_class(table: Mapping[str, T], field: Field) -> T | None:
    """The entry of *table* for the field's class, or for the nearest class that it extends.

    The table goes by name, as Django's PostgreSQL fields cannot be imported without a driver.
    """
    paths = (f"{cls.__module__}.{cls.__qualname__}" for cls in type(field).__mro__)
    return next((table[path] for path in paths if path in table), None)


def describe(field: Field) -> str:
    """The field as messages name it."""
    model = getattr(field, "model", None)
    name = getattr(field, "name", None) or "(unnamed)"
    return f"{model._meta.label}.{name}" if model else f"{type(field).__name__} {name}"


def _kind(field: Field, connection: BaseDatabaseWrapper) -> Kind:
    stored = stored_field(field)
    make = find_by_class(_KINDS, stored)
    if make is None:
        raise _unsupported(field, f"{_path(type(stored))} is none of Django's fields")
    for hook in ("from_db_value", "get_db_converters", "select_format"):
        cls = next((cls for cls in type(stored).__mro__ if hook in vars(cls)), None)
        if cls and not cls.__module__.startswith("django."):
            raise _unsupported(field, f"{_path(cls)} has a {hook}() of its own")
    return make(stored, connection)


def _unsupported(field: Field, reason: str) -> UnsupportedField:
    return UnsupportedField(
        f"{describe(field)} cannot be cached exactly: {reason}. Allowed are Django's own fields "
        "and subclasses of them that leave the conversion of database values alone. Leave the "
        "field out, or use one of Django's."
    )


def _path(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _always(kind: Kind) -> Callable[[Any, BaseDatabaseWrapper], Kind]:
    return lambda _field, _connection: kind


def _datetime(_field: Field, connection: BaseDatabaseWrapper) -> Kind:
    zone = connection.timezone  # None where USE_TZ is off.
    return scalars.NAIVE_DATETIME if zone is None else scalars.aware_datetime(zone)


def _json(field: models.JSONField[Any, Any], _connection: BaseDatabaseWrapper) -> Kind:
    return json_document(field.encoder, field.decoder)


def _array(field: ArrayField[Any, Any], connection: BaseDatabaseWrapper) -> Kind:
    return array(_kind(field.base_field, connection))


def _range(field: RangeField[Any], connection: BaseDatabaseWrapper) -> Kind:
    return range_of(_kind(cast("Field", field.base_field), connection), field.range_type)


def _composite(field: models.CompositePrimaryKey, connection: BaseDatabaseWrapper) -> Kind:
    return composite([_kind(cast("Field", part), connection) for part in field.fields])


_TEXT = _always(scalars.text(lazy=(Promise,)))

_KINDS: dict[str, Callable[[Any, BaseDatabaseWrapper], Kind]] = {
    _path(models.BinaryField): _always(scalars.BYTES),
    _path(models.BooleanField): _always(scalars.BOOL),
    _path(models.CharField): _TEXT,
    _path(models.CompositePrimaryKey): _composite,
    _path(models.DateField): _always(scalars.DATE),
    _path(models.DateTimeField): _datetime,
    _path(models.DecimalField): _always(scalars.DECIMAL),
    _path(models.DurationField): _always(scalars.TIMEDELTA),
    _path(models.FileField): _TEXT,
    _path(models.FilePathField): _TEXT,
    _path(models.FloatField): _always(scalars.FLOAT),
    _path(models.GenericIPAddressField): _TEXT,
    _path(models.IntegerField): _always(scalars.INT),
    _path(models.JSONField): _json,
    _path(models.TextField): _TEXT,
    _path(models.TimeField): _always(scalars.TIME),
    _path(models.UUIDField): _always(scalars.UUID_KIND),
    "django.contrib.postgres.fields.array.ArrayField": _array,
    "django.contrib.postgres.fields.hstore.HStoreField": _always(HSTORE),
    "django.contrib.postgres.fields.ranges.RangeField": _range,
    "django.contrib.postgres.search.SearchVectorField": _TEXT,
}
