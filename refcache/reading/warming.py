"""Loading rows into the store before anybody asks: whole references or chosen keys."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from refcache.core.exceptions import InvalidReference, ReferenceUnavailable
from refcache.core.pages import Mode
from refcache.core.sources import ABSENT
from refcache.core.staleness import seconds
from refcache.core.terms import Steps, Terms
from refcache.reading.answers import answers
from refcache.reading.loader import rows_of
from refcache.reading.planning import Plan


@dataclass(frozen=True, slots=True)
class WarmCounts:
    """How far a warming has come, in keys.

    Args:
        seen: Keys that were looked at.
        loaded: Keys that the database was asked for.
        stored: Of these, the ones whose answer was stored; that of a row that is being written is
            not, and neither is any in a transaction that may not fill.
        absent: Keys without a row.
    """

    seen: int = 0
    loaded: int = 0
    stored: int = 0
    absent: int = 0


def warm_batch(
    plan: Plan, keys: Iterable[object], terms: Terms, *, only_missing: bool
) -> Steps[WarmCounts]:
    """Load one batch; others are served what is stored until it is replaced."""
    mode = Mode.TRUST if only_missing else Mode.REFRESH
    answer = (yield from answers([(plan, keys)], terms, mode))[0]
    rows = answer.gathered.rows
    own = {id(page): page for page in answer.gathered.pages if page.source is plan.node.rows}
    return WarmCounts(
        seen=len(rows),
        loaded=sum(len(page.loaded) for page in own.values()),
        stored=sum(page.filled for page in own.values()),
        absent=sum(row is ABSENT for row in rows.values()),
    )


def renewing(
    wanted: Sequence[tuple[Plan, Iterable[object]]], terms: Terms, within: float
) -> Steps[None]:
    """Load what is past its TTL, or will be *within* so many seconds.

    Raises:
        ValueError: *within* is no duration.
        ReferenceUnavailable: Some of it could not be loaded.
    """
    try:
        horizon_ms = round(1000 * seconds(within, "within"))
    except InvalidReference as exc:
        raise ValueError(str(exc)) from None
    found = yield from answers(wanted, terms, Mode.RENEW, horizon_ms=horizon_ms)
    for (plan, _), each in zip(wanted, found, strict=True):
        if each.failed:
            raise ReferenceUnavailable(plan.declaration.name, list(each.failed))


def add(counts: WarmCounts, more: WarmCounts) -> WarmCounts:
    return WarmCounts(
        counts.seen + more.seen,
        counts.loaded + more.loaded,
        counts.stored + more.stored,
        counts.absent + more.absent,
    )


def count_rows(plan: Plan) -> int:
    return rows_of(plan.origin, plan.origin.alias).count()


def all_keys(plan: Plan, batch_size: int) -> Iterator[Any]:
    """The keys of all rows that count, in bounded memory.

    PostgreSQL streams them from a server-side cursor. The other databases would hold the whole
    result in this process, or their readers' lock for all the time, and so would PostgreSQL behind
    a pooler for which such cursors are disabled: there the keys are read slice by slice, in the
    order of the primary key.
    """
    origin, alias = plan.origin, plan.origin.alias
    names = plan.node.index.index if plan.node.index else ("pk",)
    rows = rows_of(origin, alias).values_list("pk", *names)
    if _has_server_side_cursors(connections[alias]):
        found = rows.iterator(chunk_size=batch_size)
    else:
        found = _sliced(rows.order_by("pk"), batch_size)
    for _, *key in found:
        yield key[0] if len(key) == 1 else tuple(key)


def _has_server_side_cursors(connection: BaseDatabaseWrapper) -> bool:
    disabled = connection.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS")
    return connection.vendor == "postgresql" and not disabled


def _sliced(rows: Any, size: int) -> Iterator[tuple[Any, ...]]:
    chunk = list(rows[:size])
    while chunk:
        yield from chunk
        chunk = list(rows.filter(pk__gt=chunk[-1][0])[:size])
