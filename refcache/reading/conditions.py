"""What `keys_where` is asked: lookups on declared fields, as one text that names a list of keys."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from hashlib import blake2b
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError

from refcache.core.exceptions import InvalidCondition
from refcache.reading.filters import COLUMN_LOOKUPS
from refcache.reading.models import AnyField

SPELT_AS_TEXT = (Decimal, UUID, date, time, timedelta)  # Django's fields read their own spelling.
PATTERNS = ("regex", "iregex")
LONGEST = 200  # characters that stand in a key in Redis as they are


@dataclass(frozen=True, slots=True)
class Condition:
    """Lookups on the rows of a reference; `text` is the same for the same lookups."""

    text: str

    @property
    def lookups(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.text)
        return found

    def __str__(self) -> str:
        """How it stands in Redis: a long one by a digest, which begins as no JSON does."""
        if len(self.text) <= LONGEST:
            return self.text
        return f"~{blake2b(self.text.encode(), digest_size=32).hexdigest()}"


def condition(lookups: Mapping[str, Any], fields: Mapping[str, AnyField]) -> Condition:
    """The condition that *lookups* are, joined by AND.

    Args:
        lookups: As `filter()` takes them: a declared field, and perhaps one lookup behind it.
        fields: The declared fields by name; a name may span relations.

    Raises:
        InvalidCondition: A lookup is none of a declared field, or a value cannot be one.
    """
    if not lookups:
        raise InvalidCondition(f"Give at least one condition on {_listed(fields)}.")
    found: dict[str, Any] = {}
    for name, value in sorted(lookups.items()):
        field, lookup = _split(name, fields)
        _check_lookup(name, fields[field], lookup)
        found[name] = _spelt(name, value, is_set=lookup == "in")
        _check_value(name, fields[field], lookup, found[name])
    return Condition(json.dumps(found, separators=(",", ":")))


def _split(name: str, fields: Mapping[str, AnyField]) -> tuple[str, str]:
    for field in sorted(fields, key=len, reverse=True):
        if name == field:
            return field, "exact"
        if name.startswith(f"{field}__"):
            return field, name[len(field) + 2 :]
    raise InvalidCondition(
        f"{name!r} is no declared field: keys_where() takes conditions on {_listed(fields)}. "
        "Declare more with where=[…] where the reference is registered."
    )


def _check_lookup(name: str, field: AnyField, lookup: str) -> None:
    """Only one lookup: a transform may depend on the time zone of whoever asks."""
    is_foreign = field.is_relation and lookup not in COLUMN_LOOKUPS
    if lookup in PATTERNS:
        raise InvalidCondition(
            f"{name!r}: only the database can say whether a pattern is one, and what is wrong with "
            "it would look like an outage. Use contains, startswith or endswith."
        )
    if is_foreign or field.get_lookup(lookup) is None or field.get_transform(lookup) is not None:
        raise InvalidCondition(
            f"{name!r}: {lookup!r} is no lookup of {field.name!r}. Give one, such as exact, in, "
            "gte or icontains, and no transform."
        )


def _check_value(name: str, field: AnyField, lookup: str, value: Any) -> None:
    """Refuse here what Django would refuse in the middle of a load, or of a warm list never."""
    if lookup == "isnull" and not isinstance(value, bool):
        raise InvalidCondition(f"{name}={value!r}: give True or False.")
    compares: Any = field.get_lookup(lookup)
    try:
        compares(field.get_col(field.model._meta.db_table), value)
    except (TypeError, ValueError, ArithmeticError, ValidationError) as exc:
        kind = type(field).__name__
        raise InvalidCondition(
            f"{name}={value!r} cannot be compared with {field.name!r} ({kind}): {exc}"
        ) from exc


def _spelt(name: str, value: object, *, is_set: bool = False) -> Any:
    """As JSON has it; what is equal for the database may be spelt in several ways."""
    if isinstance(value, Enum):
        value = value.value
    is_list = isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping)
    if is_set and not is_list:
        raise InvalidCondition(f"{name}={value!r}: give a list of values.")
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, datetime) and value.tzinfo is not None:
        return str(value.astimezone(UTC))
    if isinstance(value, SPELT_AS_TEXT):
        return str(value)
    if isinstance(value, Iterable) and is_list:
        values = [_spelt(name, each) for each in value]
        return sorted(set(values), key=repr) if is_set else values
    raise InvalidCondition(
        f"{name}={type(value).__name__}: give a number, a text, a date, None, or a list of them."
    )


def _listed(fields: Iterable[str]) -> str:
    return ", ".join(sorted(fields))
