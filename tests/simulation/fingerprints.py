"""When two suspended generators will go on alike: same places in the code, same live values."""

from collections.abc import Callable, Generator, Hashable, Mapping, Sequence
from enum import Enum
from types import FunctionType, GeneratorType
from typing import Any, NamedTuple

from refcache.core.loading import Job
from refcache.core.pages import Page
from refcache.core.sources import Source
from refcache.core.staleness import Policy
from refcache.core.terms import Terms


class Opaque(NamedTuple):
    """Stands for a value that never changes during a search."""

    name: str


def fingerprint(steps: Generator[Any, Any, Any]) -> Hashable:
    frames = []
    inner: Any = steps
    while isinstance(inner, GeneratorType) and (frame := inner.gi_frame) is not None:
        local = frame.f_locals
        names = tuple((name, fixed(local[name])) for name in sorted(local))
        frames.append((frame.f_code.co_name, frame.f_lasti, names))
        inner = inner.gi_yieldfrom
    return tuple(frames)


def fixed(value: Any) -> Hashable:
    """*value* as something hashable; two values that differ stay different.

    Raises:
        TypeError: No rule tells how to compare such values.
    """
    for kinds, rule in _RULES:
        if isinstance(value, kinds):
            return rule(value)
    raise TypeError(f"No rule compares two values such as {value!r}.")


def _itself(value: Hashable) -> Hashable:
    return value


def _opaque(value: Any) -> Hashable:
    return Opaque(getattr(value, "__qualname__", "") or str(getattr(value, "schema", "")))


def _sequence(value: Sequence[Any]) -> Hashable:
    return (type(value).__name__, *map(fixed, value))


def _mapping(value: Mapping[Any, Any]) -> Hashable:
    return ("mapping", *((fixed(key), fixed(each)) for key, each in value.items()))


def _set(value: set[Any]) -> Hashable:
    return frozenset(map(fixed, value))


def _error(value: Exception) -> Hashable:
    return (type(value).__name__, str(value))


def _page(page: Page) -> Hashable:
    """Without what only traces and counts look at; its epoch is set anew before each use."""
    live = (
        page.rows, page.old, page.unread, page.open, page.leased, page.primary, page.direct,
        page.waiting,
    )  # fmt: skip
    return (page.source.schema, page.mode, *map(fixed, live))


def _job(job: Job) -> Hashable:
    return (job.request.primary, fixed(job.request.keys), fixed(job.leased))


_RULES: tuple[tuple[Any, Callable[[Any], Hashable]], ...] = (
    ((type(None), int, float, str, bytes, Enum, Policy), _itself),
    (Page, _page),
    (Job, _job),
    ((Terms, Source, FunctionType), _opaque),
    ((tuple, list), _sequence),
    (dict, _mapping),
    (set, _set),
    (Exception, _error),
    (GeneratorType, fingerprint),
)
