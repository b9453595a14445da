"""PostgreSQL: one change per statement, from its transition tables, and a NOTIFY."""

from collections.abc import Sequence

from django.db.backends.base.base import BaseDatabaseWrapper

from refcache.outbox.dialects import (
    MOST_ROWS,
    OUTBOX,
    PREFIX,
    Existing,
    TriggerPlan,
    TriggerTable,
    literal,
    query,
    short_name,
)

CHANNEL = OUTBOX

# As its owner, who may write to the outbox when the writer may not; so nothing in it is looked for
# in a path that the writer chooses, and nobody may put it on a table of his own.
#
# Rows are compared as they are stored (*=): "=" is not there for json, and lets a citext or a
# numeric change unseen. What cannot be told (a column was renamed a moment ago) is any row: a
# trigger must not refuse its user's write.
FUNCTION = """\
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET bytea_output = hex
SET extra_float_digits = 1
SET intervalstyle = postgres
AS $refcache$
DECLARE
  changed bigint;
  touched jsonb;
BEGIN
  BEGIN
    IF TG_OP = 'INSERT' THEN
      SELECT count(*), jsonb_agg(DISTINCT few.found) INTO changed, touched
      FROM (SELECT {after} AS found FROM refcache_after LIMIT {most} + 1) few;
    ELSIF TG_OP = 'DELETE' THEN
      SELECT count(*), jsonb_agg(DISTINCT few.found) INTO changed, touched
      FROM (SELECT {before} AS found FROM refcache_before LIMIT {most} + 1) few;
    ELSIF TG_OP = 'UPDATE' THEN
      IF NOT EXISTS (SELECT FROM refcache_after OFFSET {most}) THEN
        SELECT count(*), jsonb_agg(DISTINCT few.found) INTO changed, touched
        FROM (
          SELECT CASE WHEN refcache_after IS NULL THEN {before} ELSE {after} END AS found
          FROM refcache_before FULL JOIN refcache_after ON refcache_before *= refcache_after
          WHERE refcache_before IS NULL OR refcache_after IS NULL
        ) few;
        changed := least(changed, {most});
      END IF;
    END IF;
  EXCEPTION WHEN OTHERS THEN
    RAISE LOG 'refcache: any row of % may have changed: %', {name}, SQLERRM;
    changed := NULL;
  END;
  IF changed = 0 THEN
    RETURN NULL;
  ELSIF changed IS NULL OR changed > {most} THEN
    touched := NULL;
  END IF;
  INSERT INTO {outbox} ("table", "rows", "at")
  VALUES ({name}, touched, {clock});
{notify}  RETURN NULL;
END
$refcache$;
REVOKE ALL ON FUNCTION {function}() FROM PUBLIC"""

NOTIFY = f"  PERFORM pg_notify('{CHANNEL}', '');\n"

EVENTS = {
    "insert": "AFTER INSERT ON {relation} REFERENCING NEW TABLE AS refcache_after",
    "update": (
        "AFTER UPDATE ON {relation} "
        "REFERENCING OLD TABLE AS refcache_before NEW TABLE AS refcache_after"
    ),
    "delete": "AFTER DELETE ON {relation} REFERENCING OLD TABLE AS refcache_before",
    "truncate": "AFTER TRUNCATE ON {relation}",
}

# A statement that names a partition fires that partition's triggers, not those of its parent.
RELATIONS = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND (
  c.oid = to_regclass(%s) OR c.oid IN (SELECT relid FROM pg_partition_tree(to_regclass(%s)))
)
ORDER BY 1, 2
"""
TRIGGERS = """
SELECT n.nspname, c.relname, t.tgname
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_proc p ON p.oid = t.tgfoid
WHERE NOT t.tgisinternal AND starts_with(p.proname, %s) AND p.pronamespace = %s::regnamespace
ORDER BY 1, 2, 3
"""
FUNCTIONS = """
SELECT p.proname FROM pg_proc p
WHERE starts_with(p.proname, %s) AND p.pronamespace = %s::regnamespace
  AND p.prorettype = 'trigger'::regtype
ORDER BY 1
"""


class PostgreSQL:
    """Version 14 or later, for `CREATE OR REPLACE TRIGGER`."""

    clock = "extract(epoch FROM clock_timestamp())::float8"
    can_replace = True
    session: Sequence[str] = ()

    def qualified(self, connection: BaseDatabaseWrapper, table: str) -> str:
        return _dotted(outbox_schema(connection), table)

    def plan(
        self, connection: BaseDatabaseWrapper, table: TriggerTable, *, notify: bool
    ) -> TriggerPlan:
        named = connection.ops.quote_name(table.db_table)
        found = query(connection, RELATIONS, named, named)
        if not found:
            raise LookupError(table.db_table)
        relations = [_dotted(*each) for each in found]
        schema = outbox_schema(connection)
        function = _dotted(schema, short_name("note", table.name))
        sql = FUNCTION.format(
            function=function,
            before=_row("refcache_before", table.columns),
            after=_row("refcache_after", table.columns),
            most=MOST_ROWS,
            name=literal(table.name),
            outbox=self.qualified(connection, OUTBOX),
            clock=self.clock,
            notify=NOTIFY if notify else "",
        )
        triggers = {
            f"{relation}.{_trigger(event)}": (
                f"CREATE OR REPLACE TRIGGER {_trigger(event)}\n{when.format(relation=relation)}\n"
                f"FOR EACH STATEMENT EXECUTE FUNCTION {function}()"
            )
            for relation in relations
            for event, when in EVENTS.items()
        }
        return TriggerPlan(frozenset(relations), {function: sql, **triggers})

    def existing(self, connection: BaseDatabaseWrapper) -> list[Existing]:
        outbox = outbox_schema(connection)
        ours = (f"{PREFIX}note_", _quoted(outbox))
        triggers = [
            Existing(
                f"{_dotted(schema, table)}.{name}",
                _dotted(schema, table),
                f"DROP TRIGGER {_quoted(name)} ON {_dotted(schema, table)}",
            )
            for schema, table, name in query(connection, TRIGGERS, *ours)
        ]
        functions = [_dotted(outbox, name) for (name,) in query(connection, FUNCTIONS, *ours)]
        return [*triggers, *(Existing(each, "", f"DROP FUNCTION {each}()") for each in functions)]


def outbox_schema(connection: BaseDatabaseWrapper) -> str:
    """Where the outbox lies; where it does not exist, where a migration would put it."""
    found = query(
        connection,
        "SELECT coalesce((SELECT n.nspname FROM pg_class c JOIN pg_namespace n "
        "ON n.oid = c.relnamespace WHERE c.oid = to_regclass(%s)), current_schema())",
        OUTBOX,
    )
    return str(found[0][0])


def _row(alias: str, columns: tuple[str, ...]) -> str:
    pairs = (f"{literal(each)}, {alias}.{_quoted(each)}" for each in columns)
    return f"jsonb_build_object({', '.join(pairs)})"


def _trigger(event: str) -> str:
    return f"{PREFIX}{event}"


def _dotted(schema: str, name: str) -> str:
    return f"{_quoted(schema)}.{_quoted(name)}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
