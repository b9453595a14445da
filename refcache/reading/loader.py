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
from refcache.reading.origin import Origin, is_in_transaction

Row = tuple[Any, ...]

COMPOSITE_CHUNK = 100  # keys; each is a branch of the condition, and SQLite allows a depth of 1000


def load(operation: Load) -> Loaded:
    """The rows of each request, one query per chunk of keys.

    Raises:
        LoadFailed: The database refused or could not be reached.
    """
    rows, storable = [], []
    for request in operation.requests:
        rows.append(_load_rows(request))
        storable.append(not is_in_transaction(request.source.origin.alias))
    return Loaded(rows, storable)


def may_fill(sources: Sequence[Source]) -> list[bool]:
    return [not is_in_transaction(source.origin.alias) for source in sources]


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
