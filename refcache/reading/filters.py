"""A reference's filter: lookups on the row's own columns, with values that every process shares."""

from collections.abc import Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from django.core.exceptions import FieldError, ValidationError

from refcache.core.exceptions import InvalidReference
from refcache.reading.models import AnyField, ModelClass
from refcache.reading.origin import Origin
from refcache.reading.paths import concrete_field

# Lookups of a relation that read its own column.
COLUMN_LOOKUPS = frozenset({"exact", "in", "isnull", "gt", "gte", "lt", "lte", "range"})


# What Django makes of a value that it cannot compare a field with.
REFUSALS = (TypeError, ValueError, ArithmeticError, ValidationError, FieldError)
SCALARS = (bool, int, float, str, bytes, Decimal, UUID, date, time, timedelta)


def check_filter(origin: Origin) -> None:
    """Say what is wrong with a filter, before the first read.

    Raises:
        InvalidReference: A lookup or a value cannot serve.
    """
    for value in origin.filter.values():
        literal(value)
    filtered_fields(origin.model, origin.filter)
    try:
        origin.model._base_manager.filter(**origin.filter)
    except REFUSALS as exc:
        raise InvalidReference(f"filter={dict(origin.filter)!r} cannot serve: {exc}") from exc


def literal(value: object) -> str:
    """How *value* stands in a schema's fingerprint: the same in every process.

    Raises:
        InvalidReference: It has no such form.
    """
    if isinstance(value, Enum):
        value = value.value
    if value is None or isinstance(value, SCALARS):
        return repr(value)
    if isinstance(value, set | frozenset):
        return f"{{{', '.join(sorted(map(literal, value)))}}}"
    if isinstance(value, list | tuple | range):
        return f"[{', '.join(map(literal, value))}]"
    raise InvalidReference(
        f"A filter compares with a {type(value).__name__}, which does not look the same in every "
        "process: give numbers, text, dates, or a list or set of them."
    )


def filtered_fields(model: ModelClass, rows: Mapping[str, Any]) -> list[AnyField]:
    """The columns that a filter reads.

    Raises:
        InvalidReference: It reads another model's, or none.
    """
    return [_filtered_field(model, lookup) for lookup in rows]


def _filtered_field(model: ModelClass, lookup: str) -> AnyField:
    name, _, rest = lookup.partition("__")
    found = concrete_field(model, name, f"filter {lookup!r}")
    if found.is_relation and rest and rest.split("__")[0] not in COLUMN_LOOKUPS:
        raise InvalidReference(
            f"filter {lookup!r} reads another model: use the row's own columns, as an entry "
            "depends on its own row only."
        )
    first = rest.split("__")[0]
    if first and found.get_lookup(first) is None and found.get_transform(first) is None:
        raise InvalidReference(f"filter {lookup!r}: {name} has no lookup {rest!r}.")
    return found
