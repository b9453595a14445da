"""The keys that rows hold, taken as REST framework takes any attribute."""

from collections.abc import Iterable
from typing import Any, TypeAlias

from rest_framework.fields import get_attribute
from rest_framework.serializers import BaseSerializer, Field

from refcache.attaching import Key

AnyField: TypeAlias = "Field[Any, Any, Any, Any]"
AnySerializer: TypeAlias = "BaseSerializer[Any]"


def key_in(row: Any, key: Key) -> Any:
    """The key that *row* holds: callables called, dots followed as far as there are objects.

    Raises:
        KeyError, AttributeError: It has no item or attribute of that name.
    """
    if isinstance(key, tuple):
        return tuple(_attribute(row, part) for part in key)
    return _attribute(row, key)


def keys_in(rows: Iterable[Any], key: Key) -> list[object]:
    """The keys of *rows*, in their order; a row that has none is left out."""
    keys = []
    for row in rows:
        try:
            keys.append(key_in(row, key))
        except (KeyError, AttributeError):  # Raised when the row is shown, if it is shown so.
            continue
    return keys


def _attribute(row: Any, path: str) -> Any:
    for name in path.split("."):
        if row is None:
            return None
        row = get_attribute(row, [name])
    return row


class KeyedField(Field[Any, Any, Any, Any]):
    """A serializer field whose value a reference gives, by a key of the row."""

    reference: str
    key: Key
