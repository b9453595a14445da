"""What `keys_where` is asked: lookups on declared fields, as one text that names a list of keys."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from hashlib import blake2b
from typing import Any
from uuid import UUID

from django.db.models import Model
from django.utils.functional import Promise

from refcache.core.exceptions import InvalidCondition
from refcache.reading.filters import COLUMN_LOOKUPS, REFUSALS
from refcache.reading.models import AnyField

PATTERNS = ("regex", "iregex")
SPELT_BY_REPR = (Decimal, UUID, date, time, timedelta)
LONGEST = 200  # characters that stand in a key in Redis as they are


@dataclass(frozen=True, slots=True)
class Condition:
    """Lookups on the rows of a reference; `text` is the same for the same lookups.

    `lookups` has the values as they were given: a spelling of them is not what `filter()` takes.
    """

    text: str
    lookups: Mapping[str, Any] = field(compare=False, repr=False)

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
    given: dict[str, Any] = {}
    for name, value in sorted(lookups.items()):
        declared, lookup = _split(name, fields)
        _check_lookup(name, fields[declared], lookup)
        given[name] = _plain(name, value, fields[declared], is_set=lookup == "in")
        found[name] = _spelt(name, given[name], is_set=lookup == "in")
        _check_value(name, fields[declared], lookup, given[name])
    return Condition(_json(found), given)


def _split(name: str, fields: Mapping[str, AnyField]) -> tuple[str, str]:
    for declared in sorted(fields, key=len, reverse=True):
        if name == declared:
            return declared, "exact"
        if name.startswith(f"{declared}__"):
            return declared, name[len(declared) + 2 :]
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
    if is_foreign or field.get_lookup(lookup) is None:  # A transform is none.
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
    except REFUSALS as exc:
        kind = type(field).__name__
        raise InvalidCondition(
            f"{name}={value!r} cannot be compared with {field.name!r} ({kind}): {exc}"
        ) from exc


def _plain(name: str, value: Any, field: AnyField, *, is_set: bool = False) -> Any:
    """What `filter()` takes and nobody changes meanwhile: no lazy text, instance, iterator."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Promise):
        return str(value)
    if isinstance(value, Model) and field.is_relation:
        return _referred(name, value, field)
    if isinstance(value, str | bytes | bytearray | memoryview | Mapping):
        is_list = False
    else:
        is_list = isinstance(value, Iterable)
    if is_set and not is_list:
        raise InvalidCondition(f"{name}={value!r}: give a list of values.")
    return [_plain(name, each, field) for each in value] if is_list else value


def _referred(name: str, value: Model, field: Any) -> Any:
    key = getattr(value, field.target_field.attname, None)
    if key is None or not isinstance(value, field.related_model._meta.concrete_model):
        raise InvalidCondition(
            f"{name}={value!r}: give a saved {field.related_model._meta.label}, or its key."
        )
    return key


def _spelt(name: str, value: Any, *, is_set: bool = False) -> Any:
    """As JSON has it; what is equal for the database may be spelt in several ways."""
    if isinstance(value, list):
        spelt = [_spelt(name, each) for each in value]
        # By their spelling: 1, 1.0 and True are equal, and not the same for each column.
        return sorted({_json(each) for each in spelt}) if is_set else spelt
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        if "\0" in value:
            raise InvalidCondition(f"{name}={value!r}: no text in a database has a NUL.")
        return str.__str__(value)
    if isinstance(value, datetime) and value.tzinfo is not None:
        try:
            value = value.astimezone(UTC)
        except OverflowError:
            raise InvalidCondition(f"{name}={value}: that is beyond all times.") from None
    if isinstance(value, SPELT_BY_REPR):
        return {"": repr(value)}  # What a text of the same spelling is not.
    raise InvalidCondition(
        f"{name}={type(value).__name__}: give a number, a text, a date, None, or a list of them."
    )


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _listed(fields: Iterable[str]) -> str:
    return ", ".join(sorted(fields))
