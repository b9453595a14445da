"""The kinds of columns that hold more than one value."""

import json
from collections.abc import Sequence
from types import GenericAlias
from typing import Any

from refcache.core.columns import Kind, unfit
from refcache.core.frozen import FrozenDict, FrozenList, freeze
from refcache.core.scalars import TEXT


def json_document(
    encoder: type[json.JSONEncoder] | None = None, decoder: type[json.JSONDecoder] | None = None
) -> Kind:
    """JSON values, written with *encoder*, read with *decoder*, and frozen."""
    is_custom = encoder is not None or decoder is not None

    def pack(value: object) -> str:
        try:
            document = json.dumps(value, cls=encoder, separators=(",", ":"))
            is_exact = not is_custom or bool(json.loads(document, cls=decoder) == value)
        except Exception as exc:  # The two classes are foreign and may raise anything.
            raise ValueError(f"a {type(value).__name__} cannot be written as JSON") from exc
        if not is_exact:
            raise ValueError("the JSON encoder and decoder do not give back what they were given")
        return document

    def unpack(raw: str) -> object:
        try:
            return freeze(json.loads(raw, cls=decoder))
        except Exception as exc:  # As above.
            raise ValueError("the text is not JSON that the decoder understands") from exc

    return Kind(f"json({_path(encoder)},{_path(decoder)})", str, pack, unpack=unpack)


def _path(cls: type | None) -> str:
    return f"{cls.__module__}.{cls.__qualname__}" if cls else ""


def array(item: Kind) -> Kind:
    """Lists of *item*, which may be an array in its turn; they come back frozen."""

    def pack(value: object) -> list[Any]:
        if not isinstance(value, (list, tuple)):
            raise unfit(value, "a list")
        return [item.carry(each) for each in value]

    def unpack(raw: list[Any]) -> FrozenList[Any]:
        return FrozenList([item.restore(each) for each in raw])

    return Kind(
        f"array({item.signature})", GenericAlias(list, item.raw | None), pack, unpack=unpack
    )


def _pack_hstore(value: object) -> dict[object, object]:
    if not isinstance(value, dict) or None in value:
        raise unfit(value, "a dict with text as keys")
    return {TEXT.carry(key): TEXT.carry(each) for key, each in value.items()}


HSTORE = Kind("hstore", dict[str, str | None], _pack_hstore, unpack=FrozenDict)


def range_of(item: Kind, range_type: type[Any]) -> Kind:
    """Ranges of *item* as a PostgreSQL driver gives them.

    Args:
        item: The kind of the bounds.
        range_type: The driver's class: `range_type(lower, upper, bounds)` and
            `range_type(empty=True)` make a range, which has `lower`, `upper`, `lower_inc`,
            `upper_inc` and `isempty`.
    """

    def pack(value: object) -> tuple[object, object, str]:
        if not isinstance(value, range_type):
            raise unfit(value, f"a {range_type.__name__}")
        bounds = ("[" if value.lower_inc else "(") + ("]" if value.upper_inc else ")")
        return item.carry(value.lower), item.carry(value.upper), "" if value.isempty else bounds

    def unpack(raw: tuple[object, object, str]) -> object:
        lower, upper, bounds = raw
        if not bounds:
            return range_type(empty=True)
        return range_type(item.restore(lower), item.restore(upper), bounds)

    raw = tuple_of([item.raw, item.raw, str])
    return Kind(f"range({item.signature})", raw, pack, unpack=unpack)


def composite(items: Sequence[Kind]) -> Kind:
    """Tuples with one item of each kind: keys of several columns."""
    items = tuple(items)

    def pack(value: object) -> tuple[Any, ...]:
        if not isinstance(value, tuple):
            raise unfit(value, f"a tuple of {len(items)}")
        return tuple(item.carry(each) for item, each in zip(items, value, strict=True))

    def unpack(raw: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(item.restore(each) for item, each in zip(items, raw, strict=True))

    is_direct = all(item.direct is not None for item in items)
    return Kind(
        f"tuple({','.join(item.signature for item in items)})",
        tuple_of([item.raw for item in items]),
        pack,
        unpack=unpack,
        direct=tuple_of([item.direct for item in items]) if is_direct else None,
    )


def tuple_of(annotations: Sequence[Any]) -> Any:
    """The annotation of a tuple with these items, each of which may be None."""
    return GenericAlias(tuple, tuple(annotation | None for annotation in annotations))
