"""The database's part of a read: rows of a source by their keys, in bulk."""

from collections.abc import Iterator, Sequence
from functools import reduce
from operator import or_
from typing import Any, cast

from django.db import Error, connections
from django.db.models import Q, QuerySet

from refcache.conf import conf
from refcache.core.exceptions import InvalidCondition, ReferenceUnavailable
from refcache.core.keys import Key
from refcache.core.operations import Load, Loaded, LoadRequest
from refcache.core.sources import Source
from refcache.reading.conditions import Condition
from refcache.reading.filters import REFUSALS
from refcache.reading.origin import Origin
from refcache.sql import sessions

Row = tuple[Any, ...]

COMPOSITE_CHUNK = 100  # keys; each is a branch of the condition, and SQLite allows a depth of 1000


def load(operation: Load) -> Loaded:
    """The rows of each request, one query per chunk of keys; a chunk that fails, fails alone."""
    aliases = [_alias(request) for request in operation.requests]
    # Asked before the rows, and in the same breath: what they see is what it was asked of.
    storable = {alias: _may_fill(alias, again=True) for alias in dict.fromkeys(aliases)}
    read = [_load_request(request) for request in operation.requests]
    return Loaded(
        [rows for rows, _ in read],
        [storable[alias] for alias in aliases],
        [failures for _, failures in read],
    )


def may_fill(sources: Sequence[Source]) -> list[bool]:
    """Per source whether what is loaded now is the latest commit, and may be stored."""
    asked = [
        {source.origin.database(is_primary=is_primary) for is_primary in (True, False)}
        for source in sources
    ]
    allowed = {alias: _may_fill(alias, again=False) for alias in set().union(*asked)}
    return [all(allowed[alias] for alias in aliases) for aliases in asked]


def may_share(operation: Load) -> bool:
    """Whether another thread's connection would read the same rows as this one's."""
    aliases = {_alias(request) for request in operation.requests}
    # Asked again: a function in a SELECT may have written since.
    return all(sessions.is_known_to_fill(a) and _may_fill(a, again=False) for a in aliases)


def _alias(request: LoadRequest) -> str:
    origin: Origin = request.source.origin
    return origin.database(is_primary=request.primary)


def _may_fill(alias: str, *, again: bool) -> bool:
    try:
        return sessions.may_fill(alias, again=again)
    except Error:  # The load will say it.
        return False


def rows_of(origin: Origin, alias: str) -> QuerySet[Any]:
    """All rows that count, in no order; as relations do, through the base manager."""
    return origin.model._base_manager.using(alias).filter(**origin.filter).order_by()


def _load_request(request: LoadRequest) -> tuple[dict[Key, Row], dict[Key, Exception]]:
    """What a replica cannot give, the primary may."""
    rows, failures = _load_rows(request)
    if failures and not request.primary and request.source.origin.replica is not None:
        again, failures = _load_rows(request._replace(keys=list(failures), primary=True))
        rows |= again
    return rows, failures


def _load_rows(request: LoadRequest) -> tuple[dict[Key, Row], dict[Key, Exception]]:
    """Rows, and errors, by key.

    Raises:
        ReferenceUnavailable: Within a transaction of the same database, which has undone it now:
            its owner must not go on as if nothing had happened.
    """
    origin, alias = request.source.origin, _alias(request)
    found: dict[Key, Row] = {}
    failures: dict[Key, Exception] = {}
    refusal: Error | None = None
    # Each list is a query of its own: what one caller asks in vain spoils nobody else's.
    lists = [[key] for key in request.keys] if origin.is_list else None
    for chunk in lists or _chunks(alias, request.keys):
        try:
            if refusal is not None:
                raise refusal
            found.update(_read(origin, alias, chunk))
        except InvalidCondition as exc:
            failures.update(dict.fromkeys(chunk, exc))
        except Error as exc:
            if connections[alias].in_atomic_block:
                reference = request.source.family.reference
                raise ReferenceUnavailable(reference, list(request.keys)) from exc
            failures.update(dict.fromkeys(chunk, exc))
            if connections[alias].connection is None:  # The other chunks would wait as long.
                refusal = exc
    return found, failures


def _read(origin: Origin, alias: str, keys: Sequence[Key]) -> dict[Key, Row]:
    """One chunk; once more where the connection was kept from before the server restarted."""
    connection = connections[alias]
    is_kept = connection.connection is not None and not sessions.is_in_transaction(alias)
    try:
        return dict(_query(origin, alias, keys))
    except Error:
        if not is_kept or connection.connection is None or connection.is_usable():
            raise
    connection.close()
    return dict(_query(origin, alias, keys))


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
    if origin.is_list:
        yield from ((key, _keys_of(origin, alias, cast("Condition", key))) for key in keys)
        return
    rows = rows_of(origin, alias).filter(_condition(origin, keys))
    if origin.key == ("pk",):
        for row in rows.values_list("pk", *origin.columns):
            yield row[0], row
        return
    for pk, *key in rows.values_list("pk", *origin.key):
        yield key[0] if len(key) == 1 else tuple(key), (pk,)


def _keys_of(origin: Origin, alias: str, asked: Condition) -> Row:
    """The keys of the rows that have one, in order.

    Raises:
        InvalidCondition: A value is none that its field can be compared with.
    """
    known = {f"{name}__isnull": False for name in origin.nullable}
    try:
        rows = rows_of(origin, alias).filter(**asked.lookups).filter(**known)
        keys = rows.order_by(*origin.key).values_list(*origin.key, flat=len(origin.key) == 1)
        return tuple(keys)
    except REFUSALS as exc:
        raise InvalidCondition(f"{asked.text} cannot be asked: {exc}") from exc


def _condition(origin: Origin, keys: Sequence[Key]) -> Q:
    if len(origin.key) == 1:
        return Q(**{f"{origin.key[0]}__in": keys})
    tuples = cast("Sequence[tuple[object, ...]]", keys)
    return reduce(or_, (Q(**dict(zip(origin.key, key, strict=True))) for key in tuples))
