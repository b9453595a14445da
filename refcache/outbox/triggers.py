"""The triggers of the tables that references read: made, dropped, shown."""

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from typing import Any, NamedTuple

from django.core.exceptions import ImproperlyConfigured
from django.db import NotSupportedError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from refcache.outbox.dialects import OUTBOX, Dialect, Existing, TriggerPlan, TriggerTable, literal
from refcache.outbox.models import InstalledTrigger
from refcache.outbox.mysql import MySQL
from refcache.outbox.postgresql import PostgreSQL
from refcache.outbox.sqlite import SQLite
from refcache.writing.tables import Table

RECORDS = InstalledTrigger._meta.db_table
DIALECTS: dict[str, Dialect] = {
    "postgresql": PostgreSQL(),
    "mysql": MySQL(),  # MariaDB calls itself that, too.
    "sqlite": SQLite(),
}


class Planned(NamedTuple):
    """What makes the triggers of one table, or makes them anew."""

    table: str
    statements: list[str]


def dialect_of(connection: BaseDatabaseWrapper) -> Dialect:
    """The database's way with triggers.

    Raises:
        NotSupportedError: There is none for it.
    """
    if connection.vendor not in DIALECTS:
        raise NotSupportedError(
            f"{connection.alias!r} is a {connection.display_name} database: there are triggers "
            "for PostgreSQL, MySQL, MariaDB and SQLite."
        )
    return DIALECTS[connection.vendor]


def has_outbox(alias: str) -> bool:
    """Whether the migrations of this app have been applied to the database."""
    connection = connections[alias]
    with connection.cursor() as cursor:
        present = {each.name for each in connection.introspection.get_table_list(cursor)}
    return {OUTBOX, RECORDS} <= present


def check_outbox(alias: str) -> None:
    """Return where triggers have something to write to.

    Raises:
        ImproperlyConfigured: The database has no outbox; says how it gets one.
    """
    if not has_outbox(alias):
        raise ImproperlyConfigured(
            f"The database {alias!r} has no outbox: with 'refcache.outbox' in INSTALLED_APPS, run "
            f"`manage.py migrate refcache_outbox --database {alias}`. DATABASE_ROUTERS must allow "
            f"the app refcache_outbox to migrate on {alias!r}."
        )


def plan_of(connection: BaseDatabaseWrapper, table: Table, *, notify: bool) -> TriggerPlan:
    """The triggers that *table* should have.

    Raises:
        NotSupportedError: There are none for this database.
        LookupError: It is not there, or is a view.
    """
    dialect = dialect_of(connection)
    plans = [
        dialect.plan(connection, TriggerTable(table.name, db_table, table.columns), notify=notify)
        for db_table in table.spellings
    ]
    relations = frozenset(relation for plan in plans for relation in plan.relations)
    return TriggerPlan(
        relations, {name: sql for plan in plans for name, sql in plan.creates.items()}
    )


def planned(alias: str, tables: Mapping[str, Table], *, notify: bool = True) -> Iterator[Planned]:
    """The statements that make triggers anew, table by table.

    The last of them says that any row may have changed: until then, nobody has watched.

    Args:
        alias: The database.
        tables: Of those that references read there, by name.
        notify: Whether a change wakes the relay, where the database can do that.

    Raises:
        NotSupportedError, LookupError: As `plan_of`.
    """
    connection = connections[alias]
    dialect = dialect_of(connection)
    existing = dialect.existing(connection)
    for name, table in tables.items():
        plan = plan_of(connection, table, notify=notify)
        drops = _drops(existing, plan, can_replace=dialect.can_replace)
        noted = _noted(connection, dialect, name, plan, notify=notify)
        yield Planned(name, [*drops, *plan.creates.values(), *noted])


def install(alias: str, tables: Mapping[str, Table], *, notify: bool = True) -> list[str]:
    """Make the triggers; those that are there are replaced.

    Each table is locked against writes for a moment, as soon as no transaction writes to it.

    Returns:
        The tables' names.

    Raises:
        ImproperlyConfigured: The database has no outbox.
        NotSupportedError, LookupError: As `plan_of`.
        DatabaseError: The database refuses.
    """
    check_outbox(alias)
    done = []
    for each in planned(alias, tables, notify=notify):
        _execute(alias, each.statements)
        done.append(each.table)
    return done


def uninstall(alias: str, tables: Mapping[str, Table] | None = None) -> list[str]:
    """Drop the triggers of these tables; None: all that there are, whatever for.

    Returns:
        The names of the triggers and functions that there were.

    Raises:
        NotSupportedError, LookupError: As `plan_of`.
    """
    connection = connections[alias]
    existing = dialect_of(connection).existing(connection)
    if tables is not None:
        plans = [plan_of(connection, each, notify=True) for each in tables.values()]
        existing = [each for each in existing if any(_is_of(each, plan) for plan in plans)]
    _execute(alias, [each.drop for each in existing])
    if has_outbox(alias):
        records = InstalledTrigger._default_manager.using(alias)
        (records.all() if tables is None else records.filter(table__in=list(tables))).delete()
    return [each.name for each in existing]


def widen(_apps: Any, editor: Any) -> None:
    """Let the outbox hold any text, where the database's own character set may not."""
    if editor.connection.vendor == "mysql":
        for table in (OUTBOX, RECORDS):
            editor.execute(f"ALTER TABLE {table} CONVERT TO CHARACTER SET utf8mb4", None)


def drop_all(_apps: Any, editor: Any) -> None:
    """Drop every trigger, for the migration that drops the outbox."""
    if editor.connection.vendor in DIALECTS:
        for each in dialect_of(editor.connection).existing(editor.connection):
            editor.execute(each.drop, None)


def _is_of(existing: Existing, plan: TriggerPlan) -> bool:
    return existing.relation in plan.relations or existing.name in plan.creates


def _drops(existing: list[Existing], plan: TriggerPlan, *, can_replace: bool) -> list[str]:
    """What is in the way, and what a table has kept from when it had another name."""
    return [
        each.drop
        for each in existing
        if _is_of(each, plan) and not (can_replace and each.name in plan.creates)
    ]


def _noted(
    connection: BaseDatabaseWrapper, dialect: Dialect, name: str, plan: TriggerPlan, *, notify: bool
) -> list[str]:
    outbox, records = (dialect.qualified(connection, each) for each in (OUTBOX, RECORDS))
    table, rows, at = map(connection.ops.quote_name, ("table", "rows", "at"))
    named = literal(name)
    values = f"{named}, {literal(plan.digest)}, {'TRUE' if notify else 'FALSE'}"
    return [
        f"DELETE FROM {records} WHERE {table} = {named}",  # noqa: S608 - all is quoted
        f"INSERT INTO {records} ({table}, digest, notifies) VALUES ({values})",  # noqa: S608 - as above
        f"INSERT INTO {outbox} ({table}, {rows}, {at}) VALUES ({named}, NULL, {dialect.clock})",  # noqa: S608 - as above
    ]


def _execute(alias: str, statements: list[str]) -> None:
    connection = connections[alias]
    is_atomic = connection.features.can_rollback_ddl
    with (
        transaction.atomic(using=alias) if is_atomic else nullcontext(),
        connection.cursor() as cursor,
    ):
        for each in statements:
            cursor.execute(each)
