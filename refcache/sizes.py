"""How big a reference's rows are, at the database and in this process; for refcache_advise.

Big tables are estimated from the database's own statistics, and no more than a sample is loaded.
"""

from collections.abc import Callable, Iterable
from sys import getsizeof
from typing import Any, NamedTuple

from django.apps import apps
from django.db import connections, router

from refcache.advice import Facts
from refcache.reading.loader import rows_of
from refcache.reading.planning import Plan
from refcache.reference_to import relations_of

SAMPLE = 200  # rows
COUNTED = 100_000  # rows; a bigger table is estimated
SLOT_BYTES = 74  # of a dictionary's entry at worst: measured by getsizeof, CPython 3.11 to 3.13

# What the planner knows; -1 rows before the first ANALYZE.
POSTGRESQL = """
SELECT c.reltuples::bigint, pg_total_relation_size(c.oid), s.n_tup_upd + s.n_tup_del
FROM pg_class c LEFT JOIN pg_stat_all_tables s ON s.relid = c.oid WHERE c.oid = %s::regclass
"""
MYSQL = """
SELECT table_rows, data_length + index_length FROM information_schema.tables
WHERE table_schema = database() AND table_name = %s
"""
ASSUMED_ROW_BYTES = 100  # on the disk, where PostgreSQL has not looked at the table yet


class Table(NamedTuple):
    """What a database says of a table; None: it does not."""

    rows: int | None = None
    total_bytes: int | None = None
    changes: int | None = None


def facts_of(plan: Plan) -> Facts:
    """Measure one reference: by a few queries, whatever the size of its table.

    Raises:
        django.db.Error: The database could not be asked.
    """
    name, alias = plan.declaration.name, plan.origin.alias
    table = _table(plan)
    return Facts(
        reference=name,
        alias=alias,
        rows=_rows(plan, table),
        table_bytes=table.total_bytes,
        row_bytes=_row_bytes(plan),
        changes=table.changes,
        conditions=plan.declaration.where,
        referrers=_referrers(name),
        databases=frozenset(each for each in connections if each != plan.origin.replica),
    )


def _table(plan: Plan) -> Table:
    vendor = connections[plan.origin.alias].vendor
    known: dict[str, Callable[[Plan], Table]] = {
        "postgresql": _postgresql,
        "mysql": _mysql,
        "sqlite": _sqlite,
    }
    return known[vendor](plan) if vendor in known else Table()


def _postgresql(plan: Plan) -> Table:
    name = connections[plan.origin.alias].ops.quote_name(plan.model._meta.db_table)
    rows, total_bytes, changes = _ask(plan, POSTGRESQL, name)
    return Table(total_bytes // ASSUMED_ROW_BYTES if rows < 0 else rows, total_bytes, changes)


def _mysql(plan: Plan) -> Table:
    return Table(*_ask(plan, MYSQL, plan.model._meta.db_table))


def _sqlite(plan: Plan) -> Table:
    """SQLite keeps no statistics: the range of the rowids, and the bytes of a sample."""
    quote = connections[plan.origin.alias].ops.quote_name
    table = quote(plan.model._meta.db_table)
    model = plan.model._meta.concrete_model or plan.model  # A proxy has no columns of its own.
    named = [each.column for each in model._meta.local_concrete_fields if each.column]
    length = " + ".join(f"coalesce(length(CAST({quote(each)} AS BLOB)), 0)" for each in named)
    (rows,) = _ask(plan, f"SELECT coalesce(max(rowid) - min(rowid) + 1, 0) FROM {table}")  # noqa: S608 - quoted
    (average,) = _ask(
        plan,
        f"SELECT avg(n) FROM (SELECT {length} AS n FROM {table} LIMIT {SAMPLE})",  # noqa: S608 - quoted
    )
    return Table(rows, round(rows * (average or 0)))


def _ask(plan: Plan, sql: str, *parameters: str) -> tuple[Any, ...]:
    """The one row that it gives; a table always has one."""
    with connections[plan.origin.alias].cursor() as cursor:
        cursor.execute(sql, parameters)
        row: tuple[Any, ...] = cursor.fetchone() or ()
        return row


def _rows(plan: Plan, table: Table) -> int:
    """Counted up to a limit, the declared filter included; beyond it the table's estimate."""
    if table.rows is not None and table.rows > COUNTED:
        return table.rows
    counted = rows_of(plan.origin, plan.origin.alias)[: COUNTED + 1].count()
    return max(counted, table.rows or 0) if counted > COUNTED else counted


def _row_bytes(plan: Plan) -> float:
    """The average of a sample, with its place in a dictionary by key; 0 without rows."""
    width = len(plan.key_names)
    rows = rows_of(plan.origin, plan.origin.alias)
    sample = list(rows.values_list(*plan.key_names, *plan.declaration.fields)[:SAMPLE])
    if not sample:
        return 0.0
    keys = [row[0] if width == 1 else row[:width] for row in sample]
    rest = [row[width:] for row in sample]
    snapshots = [plan.snapshot_type(key, *row) for key, row in zip(keys, rest, strict=True)]
    values = [value for row in rest for value in row]
    total = sum(map(getsizeof, snapshots)) + _bytes_of([*keys, *values], set())
    return SLOT_BYTES + total / len(sample)


def _bytes_of(values: Iterable[Any], seen: set[int]) -> int:
    """With what is inside of them; what several share (None, True, small numbers) is one."""
    total = 0
    for value in values:
        if id(value) in seen:
            continue
        seen.add(id(value))
        total += getsizeof(value)
        if isinstance(value, dict):
            total += _bytes_of([*value, *value.values()], seen)
        elif isinstance(value, list | tuple):
            total += _bytes_of(value, seen)
    return total


def _referrers(reference: str) -> frozenset[str]:
    """The databases of the models that have a `ReferenceTo` it."""
    return frozenset(
        # The home, which is what a reference's alias is: reads may go to any replica.
        router.db_for_write(model)
        for model in apps.get_models()
        for each in relations_of(model)
        if each.reference == reference
    )
