"""The database's part of a read: rows of a source by their keys, in bulk."""

from collections.abc import Iterator, Sequence
from functools import reduce
from operator import or_
from typing import Any, cast

from django.db import Error, connections
from django.db.models import Q, QuerySet

from refcache.conf import conf
from refcache.core.exceptions import LoadFailed
from refcache.core.keys import Key
from refcache.core.operations import Load, Loaded, LoadRequest
from refcache.core.sources import Source
from refcache.reading.origin import Origin
from refcache.sql import sessions

Row = tuple[Any, ...]

COMPOSITE_CHUNK = 100  # keys; each is a branch of the condition, and SQLite allows a depth of 1000


def load(operation: Load) -> Loaded:
    """The rows of each request, one query per chunk of keys.

    Raises:
        LoadFailed: The database refused or could not be reached.
    """
    aliases = [request.source.origin.alias for request in operation.requests]
    # Asked before the rows, and in the same breath: what they see is what it was asked of.
    storable = {alias: _may_fill(alias, again=True) for alias in dict.fromkeys(aliases)}
    rows = [_load_rows(request) for request in operation.requests]
    return Loaded(rows, [storable[alias] for alias in aliases])


def may_fill(sources: Sequence[Source]) -> list[bool]:
    """Per source whether what is loaded now is the latest commit, and may be stored."""
    aliases = [source.origin.alias for source in sources]
    allowed = {alias: _may_fill(alias, again=False) for alias in dict.fromkeys(aliases)}
    return [allowed[alias] for alias in aliases]


def _may_fill(alias: str, *, again: bool) -> bool:
    try:
        return sessions.may_fill(alias, again=again)
    except Error:  # The load will say it.
        return False


def rows_of(origin: Origin, alias: str) -> QuerySet[Any]:
    """All rows that count, in no order; as relations do, through the base manager."""
    return origin.model._base_manager.using(alias).filter(**origin.filter).order_by()


def _load_rows(request: LoadRequest) -> dict[Key, Row]:
    origin: Origin = request.source.origin
    alias = origin.alias
    found: dict[Key, Row] = {}
    try:
        for chunk in _chunks(alias, request.keys):
            found.update(_query(origin, alias, chunk))
    except Error as exc:
        raise LoadFailed(request.source, request.keys) from exc
    return found


def _chunks(alias: str, keys: Sequence[Key]) -> Iterator[Sequence[Key]]:
    size = conf().chunk_size
    if isinstance(keys[0], tuple):
        size = min(size, COMPOSITE_CHUNK)
    if limit := connections[alias].features.max_query_params:
        # A filter of the reference has parameters too.
        size = max(1, min(size, limit // 2))
    for start in range(0, len(keys), size):
        yield keys[start : start + size]


def _query(origin: Origin, alias: str, keys: Sequence[Key]) -> Iterator[tuple[Key, Row]]:
    rows = rows_of(origin, alias).filter(_condition(origin, keys))
    if origin.key == ("pk",):
        for row in rows.values_list("pk", *origin.columns):
            yield row[0], row
        return
    for pk, *key in rows.values_list("pk", *origin.key):
        yield key[0] if len(key) == 1 else tuple(key), (pk,)


def _condition(origin: Origin, keys: Sequence[Key]) -> Q:
    if len(origin.key) == 1:
        return Q(**{f"{origin.key[0]}__in": keys})
    tuples = cast("Sequence[tuple[object, ...]]", keys)
    return reduce(or_, (Q(**dict(zip(origin.key, key, strict=True))) for key in tuples))
