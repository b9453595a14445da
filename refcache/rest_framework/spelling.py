"""Keys as URLs spell them: `1,2,3`, or a JSON list of what commas cannot say."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from refcache.core.keys import Key
from refcache.reading.answers import is_null

SCALARS = (str, int, float)


def asked_keys(values: Iterable[str]) -> dict[str, Key]:
    """The keys that *values* ask for, each by its spelling, in their order.

    A value is keys with commas between them, or a JSON list. An item of the list is spelled as
    JavaScript would spell it as a property: text as it is, all else as `JSON.stringify` does.
    Empty pieces and nulls are no keys: `[1, null, 2].join()` is "1,,2".

    Args:
        values: Of the parameter, which may be repeated.

    Returns:
        Text as it was asked for; numbers, booleans and tuples from JSON. They are not cast.

    Raises:
        ValueError: A value is a JSON list that is broken, or of something else than keys.
    """
    return {spelling: key for value in values for spelling, key in _keys(value)}


def _keys(value: str) -> Iterator[tuple[str, Key]]:
    if not value.startswith("["):
        yield from ((piece, piece) for piece in value.split(",") if piece)
        return
    for item in _parsed(value):
        key = _key(item)
        if not is_null(key):
            yield _spelling(item), key


def _parsed(value: str) -> list[Any]:
    try:
        parsed = json.loads(value, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    assert isinstance(parsed, list)  # noqa: S101 - it begins with a bracket
    return parsed


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _key(item: Any) -> Key:
    parts = item if isinstance(item, list) else [item]
    if not all(part is None or isinstance(part, SCALARS) for part in parts):
        raise ValueError("a key is text, a number, or a list of them")
    return tuple(item) if isinstance(item, list) else item


def _spelling(item: Any) -> str:
    """Raises `ValueError` where it cannot be sent back: half of a surrogate pair is no text."""
    is_text = isinstance(item, str)
    spelling = item if is_text else json.dumps(item, ensure_ascii=False, separators=(",", ":"))
    spelling.encode()
    return str(spelling)
