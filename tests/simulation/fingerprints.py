"""When two suspended generators will go on alike: same places in the code, same live values."""

from collections.abc import Generator, Hashable
from enum import Enum
from types import FunctionType
from typing import Any, NamedTuple

from refcache.core.pages import Page
from refcache.core.sources import Source
from refcache.core.terms import Terms


class Opaque(NamedTuple):
    """Stands for a value that never changes during a search."""

    name: str


def fingerprint(steps: Generator[Any, Any, Any]) -> Hashable:
    frames = []
    inner: Any = steps
    while isinstance(inner, Generator):
        frame = inner.gi_frame
        local = frame.f_locals
        names = tuple((name, fixed(local[name])) for name in sorted(local))
        frames.append((frame.f_code.co_name, frame.f_lasti, names))
        inner = inner.gi_yieldfrom
    return tuple(frames)


def fixed(value: Any) -> Hashable:  # noqa: ANN401, PLR0911 - one line per kind of value
    """*value* as something hashable; two values that differ stay different.

    Raises:
        TypeError: No rule tells how to compare such values.
    """
    if value is None or isinstance(value, int | float | str | bytes | Enum):
        return value
    if isinstance(value, Page):
        return _page(value)
    if isinstance(value, Terms | Source | FunctionType):
        return Opaque(getattr(value, "__qualname__", "") or str(getattr(value, "schema", "")))
    if isinstance(value, tuple | list):
        return (type(value).__name__, *map(fixed, value))
    if isinstance(value, dict):
        return ("dict", *((fixed(k), fixed(v)) for k, v in value.items()))
    if isinstance(value, set):
        return frozenset(map(fixed, value))
    if isinstance(value, Exception):
        return (type(value).__name__, str(value))
    if isinstance(value, Generator):
        return fingerprint(value)
    raise TypeError(f"No rule compares two values such as {value!r}.")


def _page(page: Page) -> Hashable:
    """Without what only traces and counts look at, and without an epoch that nothing will bear."""
    epoch = page.epoch.id if page.epoch is not None and page.leased else None
    live = (page.rows, page.unread, page.open, page.leased, page.primary, page.direct, page.waiting)
    return (page.source.schema, page.mode, epoch, *map(fixed, live))
