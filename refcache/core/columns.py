"""How a column's values are carried in a payload; the codec puts columns together to rows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind of value travels in MessagePack. `None` always does.

    Args:
        signature: Part of the schema's id: kinds that share it read each other's bytes.
        raw: The annotation of what stands in the payload.
        pack: A value to its raw form; `TypeError` or `ValueError` for what it cannot carry.
        plain: The types whose values are their own raw form; no subclass of them is.
        unpack: A raw form to the value, or None where they are the same.
        direct: The annotation under which msgspec decodes nearly every payload straight to the
            value, or None where that needs `unpack`.
    """

    signature: str
    raw: Any
    pack: Callable[[object], object]
    plain: frozenset[type] = frozenset()
    unpack: Callable[[Any], Any] | None = None
    direct: Any = None

    def carry(self, value: object) -> object:
        """The raw form of *value*."""
        if value is None or type(value) in self.plain:
            return value
        return self.pack(value)

    def restore(self, raw: object) -> object:
        """The value that *raw* carries."""
        if raw is None or self.unpack is None:
            return raw
        return self.unpack(raw)


@dataclass(frozen=True, slots=True)
class Column:
    """A named column of a row."""

    name: str
    kind: Kind


def unfit(value: object, wanted: str) -> TypeError:
    """The error of a kind that cannot carry *value*; it hides the value, as rows are private."""
    return TypeError(f"a {type(value).__name__} is not {wanted}")
