"""Snapshots on rows of any kind: instances, dictionaries, dataclasses."""

import copy
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from inspect import getattr_static
from typing import Any, NamedTuple, TypeVar

from refcache.core.snapshots import Snapshot
from refcache.lookup import Lookup
from refcache.reading.answers import is_null

MISSING = object()

T = TypeVar("T")

Key = str | tuple[str, ...]
PAIR = ("reference", "key")


class Attachment(NamedTuple):
    """What to attach: under which name, of which reference, by which attribute or item."""

    name: str
    reference: str
    key: Key


def attachments(wanted: Mapping[str, Any]) -> list[Attachment]:
    """What the keyword arguments of `attach` ask for.

    Raises:
        TypeError: A value is neither a key nor a pair (reference, key).
    """
    return [_attachment(name, value) for name, value in wanted.items()]


def _attachment(name: str, value: Any) -> Attachment:
    if isinstance(value, str):
        return Attachment(name, name, value)
    if isinstance(value, tuple) and len(value) == len(PAIR) and isinstance(value[0], str):
        reference, key = value
        return Attachment(name, reference, key if isinstance(key, str) else tuple(key))
    raise TypeError(
        f"attach({name}={value!r}): give the name of the key's attribute or item, as in "
        f'{name}="{name}_id", or a pair of reference and key, as in '
        f'{name}=("customer", "{name}_id"); a composite key is a tuple of names.'
    )


def key_of(row: Any, key: Key) -> Any:
    """The key that *row* holds: an item of a mapping, an attribute of anything else.

    Raises:
        KeyError, AttributeError: It has none of that name.
    """
    if isinstance(key, tuple):
        return tuple(key_of(row, part) for part in key)
    return row[key] if isinstance(row, Mapping) else getattr(row, key)


def check_names(rows: Iterable[Any], names: Iterable[str]) -> None:
    """Refuse names that are taken, before the first row is changed.

    Raises:
        TypeError: One of *rows* has one of *names* already.
    """
    for row in rows:
        for name in names:
            if _is_taken(row, name):
                raise TypeError(
                    f"attach() cannot put {name!r} on {type(row).__name__}: the name is taken. "
                    f'Choose another one, as in attach(rows, {name}_row=("{name}", …)).'
                )


def with_values(row: Any, values: Mapping[str, Any]) -> Any:
    """*row* with *values* on it: itself, or its copy where it is a frozen dataclass.

    Raises:
        TypeError: The row takes no further names.
    """
    if isinstance(row, MutableMapping):
        row.update(values)
        return row
    params = getattr(type(row), "__dataclass_params__", None)
    is_frozen = params is not None and params.frozen
    target, put = (copy.copy(row), object.__setattr__) if is_frozen else (row, setattr)
    try:
        for name, value in values.items():
            put(target, name, value)
    except AttributeError as exc:
        raise TypeError(
            f"attach() cannot put {', '.join(values)} on {type(row).__name__}, which takes no "
            "further attributes (it has __slots__). Give dictionaries, or a class without slots."
        ) from exc
    return target


def _is_taken(row: Any, name: str) -> bool:
    if isinstance(row, Mapping):
        return name in row
    # Static: a relation's descriptor would ask the database.
    return getattr_static(row, name, MISSING) is not MISSING


def keys_by_reference(rows: list[Any], asked: list[Attachment]) -> dict[str, list[object]]:
    keys: dict[str, list[object]] = {each.reference: [] for each in asked}
    for each in asked:
        keys[each.reference] += [key_of(row, each.key) for row in rows]
    return keys


def attached(
    rows: list[T],
    asked: list[Attachment],
    found: Mapping[str, Lookup],
    placeholder: Callable[[str, Any], Snapshot],
) -> list[T]:
    """The rows with what was found; each object once, though it may stand in several places."""
    check_names(rows, [each.name for each in asked])
    done: dict[int, T] = {}
    for row in rows:
        if id(row) not in done:
            values = {
                each.name: _value(row, each, found[each.reference], placeholder) for each in asked
            }
            done[id(row)] = with_values(row, values)
    return [done[id(row)] for row in rows]


def _value(
    row: Any, attachment: Attachment, lookup: Lookup, placeholder: Callable[[str, Any], Snapshot]
) -> Snapshot | None:
    key = key_of(row, attachment.key)
    return value_of(key, lookup, lambda: placeholder(attachment.reference, key))


def value_of(key: Any, lookup: Lookup, placeholder: Callable[[], Snapshot]) -> Snapshot | None:
    """What *lookup* says of a row's key: None for a null key, and for what was to be left out."""
    if is_null(key):
        return None
    found = lookup.get(key)
    if found is not None or lookup.has_failed(key):
        return found
    return placeholder()  # A key that cannot be one is missing, too.
