"""SQLite: one change per row, noted by the row's own trigger."""

from collections.abc import Sequence

from django.db.backends.base.base import BaseDatabaseWrapper

from refcache.outbox.dialects import (
    OUTBOX,
    PREFIX,
    Existing,
    TriggerPlan,
    TriggerTable,
    literal,
    parts_of,
    query,
    short_name,
)

ROWS = {"insert": ("NEW",), "update": ("OLD", "NEW"), "delete": ("OLD",)}


class SQLite:
    """With JSON's functions, which SQLite has from 3.38 on and Python's own before."""

    clock = "((julianday('now') - 2440587.5) * 86400.0)"  # exact to the millisecond
    can_replace = False
    session: Sequence[str] = ()

    def qualified(self, connection: BaseDatabaseWrapper, table: str) -> str:
        return connection.ops.quote_name(table)

    def plan(
        self,
        connection: BaseDatabaseWrapper,
        table: TriggerTable,
        *,
        notify: bool,  # noqa: ARG002 - nobody can be notified
    ) -> TriggerPlan:
        _, name = parts_of(table.db_table, '"')
        # Other than table_info, this knows generated columns too.
        columns = [row[1] for row in query(connection, f"PRAGMA table_xinfo({_quoted(name)})")]
        if not columns:
            raise LookupError(table.db_table)
        creates = {}
        for event, rows in ROWS.items():
            trigger = short_name(event, name)
            when = f"\nWHEN {_differs(columns)}" if event == "update" else ""
            creates[trigger] = (
                f"CREATE TRIGGER {_quoted(trigger)} AFTER {event.upper()} ON {_quoted(name)}\n"  # noqa: S608 - all is quoted
                f"FOR EACH ROW{when}\nBEGIN\n"
                f'  INSERT INTO {_quoted(OUTBOX)} ("table", "rows", "at")\n'
                f"  VALUES ({literal(table.name)}, {_rows(rows, table.columns)}, {self.clock});\n"
                "END"
            )
        return TriggerPlan(frozenset({name}), creates)

    def existing(self, connection: BaseDatabaseWrapper) -> list[Existing]:
        found = query(
            connection,
            "SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger' "
            "AND substr(name, 1, length(%s)) = %s ORDER BY name",
            PREFIX,
            PREFIX,
        )
        return [Existing(name, on, f"DROP TRIGGER {_quoted(name)}") for name, on in found]


def _differs(columns: list[str]) -> str:
    # A column's own collation may find "Ann" and "ann" the same.
    return " OR ".join(
        f"OLD.{_quoted(each)} IS NOT NEW.{_quoted(each)} COLLATE BINARY" for each in columns
    )


def _rows(rows: tuple[str, ...], columns: tuple[str, ...]) -> str:
    objects = []
    for row in rows:
        values = (f"{literal(each)}, {_value(f'{row}.{_quoted(each)}')}" for each in columns)
        objects.append(f"json_object({', '.join(values)})")
    return f"json_array({', '.join(objects)})"


def _value(column: str) -> str:
    """JSON cannot hold bytes; these are written as PostgreSQL writes them."""
    return f"CASE typeof({column}) WHEN 'blob' THEN '\\x' || lower(hex({column})) ELSE {column} END"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
