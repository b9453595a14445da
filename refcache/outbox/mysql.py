"""MySQL and MariaDB: one change per row, noted by the row's own trigger."""

from collections.abc import Sequence

from django.db.backends.base.base import BaseDatabaseWrapper

from refcache.outbox.dialects import (
    OUTBOX,
    PREFIX,
    Existing,
    TriggerPlan,
    TriggerTable,
    parts_of,
    query,
    short_name,
)

ROWS = {"insert": ("NEW",), "update": ("OLD", "NEW"), "delete": ("OLD",)}

BYTES = {"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "bit"}
# Whose collation may find "Ann" and "ann" the same.
TEXT = {"char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set", "json"}

COLUMNS = """
SELECT column_name, data_type FROM information_schema.columns
WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position
"""
TRIGGERS = """
SELECT trigger_schema, trigger_name, event_object_table FROM information_schema.triggers
WHERE LEFT(trigger_name, CHAR_LENGTH(%s)) = %s AND INSTR(action_statement, %s)
ORDER BY 1, 2
"""


class MySQL:
    """MySQL 8 and MariaDB 10.6 or later. Its triggers run with their maker's rights."""

    clock = "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) / 1e6)"
    can_replace = False
    # Above it, a relay that looks for changes keeps others from noting some.
    session: Sequence[str] = ("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",)

    def qualified(self, connection: BaseDatabaseWrapper, table: str) -> str:
        return _dotted(_own_schema(connection), table)

    def plan(
        self,
        connection: BaseDatabaseWrapper,
        table: TriggerTable,
        *,
        notify: bool,  # noqa: ARG002 - nobody can be notified
    ) -> TriggerPlan:
        schema, name = parts_of(table.db_table, "`")
        schema = schema or _own_schema(connection)
        types = dict(query(connection, COLUMNS, schema, name))
        if not types:
            raise LookupError(table.db_table)
        outbox = self.qualified(connection, OUTBOX)
        creates = {}
        for event, rows in ROWS.items():
            trigger = _dotted(schema, short_name(event, name))
            when = f"\n  WHERE {_differs(types)}" if event == "update" else ""
            creates[trigger] = (
                f"CREATE TRIGGER {trigger} AFTER {event.upper()} ON {_dotted(schema, name)}\n"  # noqa: S608 - all is quoted
                f"FOR EACH ROW\n  INSERT INTO {outbox} (`table`, `rows`, `at`)\n"
                f"  SELECT {_literal(table.name)}, {_rows(rows, table.columns, types)}, "
                f"{self.clock} FROM DUAL{when}"
            )
        return TriggerPlan(frozenset({_dotted(schema, name)}), creates)

    def existing(self, connection: BaseDatabaseWrapper) -> list[Existing]:
        found = query(connection, TRIGGERS, PREFIX, PREFIX, self.qualified(connection, OUTBOX))
        return [
            Existing(
                _dotted(schema, trigger),
                _dotted(schema, table),
                f"DROP TRIGGER {_dotted(schema, trigger)}",
            )
            for schema, trigger, table in found
        ]


def _own_schema(connection: BaseDatabaseWrapper) -> str:
    ((own,),) = query(connection, "SELECT DATABASE()")
    return str(own)


def _differs(types: dict[str, str]) -> str:
    equal = (
        f"{_exact(f'OLD.{_quoted(name)}', kind)} <=> {_exact(f'NEW.{_quoted(name)}', kind)}"
        for name, kind in types.items()
    )
    return f"NOT ({' AND '.join(equal)})"


def _exact(column: str, kind: str) -> str:
    return f"CAST({column} AS BINARY)" if kind in TEXT else column


def _rows(rows: tuple[str, ...], columns: tuple[str, ...], types: dict[str, str]) -> str:
    objects = []
    for row in rows:
        values = (
            f"{_literal(each)}, {_value(f'{row}.{_quoted(each)}', types.get(each, ''))}"
            for each in columns
        )
        objects.append(f"JSON_OBJECT({', '.join(values)})")
    return f"JSON_ARRAY({', '.join(objects)})"


def _value(column: str, kind: str) -> str:
    """JSON cannot hold bytes; these are written as PostgreSQL writes them."""
    return f"CONCAT('\\\\x', LOWER(HEX({column})))" if kind in BYTES else column


def _literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def _dotted(schema: str, name: str) -> str:
    return f"{_quoted(schema)}.{_quoted(name)}"


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
