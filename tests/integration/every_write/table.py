"""The table: each kind of write, and what becomes of it on each database.

docs/writes.md shows it, and a test compares the two.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from tests.integration.every_write import beyond, bulk, saves, sql
from tests.integration.every_write.scenes import Scene, Writer

# Seen by the next read after the commit; then what is dropped.
ROW = "row"
REFERENCE = "reference"
NOTHING = "nothing"
# Not seen at once: by whoever runs the relay, or by nobody.
RELAY = "relay"
TTL = "ttl"
# There is no such thing on this database.
NONE = "–"  # noqa: RUF001 - a dash, as pages have it

ALIASES = ("default", "mariadb", "sqlite")


class Kind(NamedTuple):
    """One kind of write.

    Args:
        title: As the page has it.
        arrange: Makes the scene of it.
        on: What becomes of it on each of ALIASES.
        is_precise: With `ReferenceQuerySet`.
        alone: Aliases where it is committed at once, or others cannot read until it is.
    """

    title: str
    arrange: Callable[[Writer], Scene]
    on: tuple[str, str, str]
    is_precise: bool = False
    alone: tuple[str, ...] = ()

    def expected(self, alias: str) -> str:
        return self.on[ALIASES.index(alias)]


def same(what: str) -> tuple[str, str, str]:
    return (what, what, what)


def both(title: str, arrange: Callable[[Writer], Scene], plain: tuple[str, str, str]) -> list[Kind]:
    """With Django's own queryset, and with refcache's."""
    precise = f"{title}, `ReferenceQuerySet`"
    return [Kind(title, arrange, plain), Kind(precise, arrange, same(ROW), is_precise=True)]


KINDS = [
    Kind("`save()`", saves.save, same(ROW)),
    Kind("`save(update_fields=...)` of a declared field", saves.save_some, same(ROW)),
    Kind("`save(update_fields=...)` of no declared field", saves.save_others, same(NOTHING)),
    Kind("`save()` of a proxy", saves.save_proxy, same(ROW)),
    Kind("`create()` with a key", saves.create, same(ROW)),
    Kind("`create()`, the database makes the key", saves.create_numbered, same(ROW)),
    Kind("`update_or_create()`", saves.update_or_create, same(ROW)),
    Kind("`get_or_create()`", saves.get_or_create, same(ROW)),
    Kind("`delete()` of an instance", saves.delete, same(ROW)),
    Kind("`delete()` of a queryset", saves.delete_some, same(ROW)),
    Kind("`on_delete=CASCADE`", saves.cascade, same(ROW)),
    *both("`on_delete=SET_NULL`", saves.set_null, same(REFERENCE)),
    Kind("`on_delete=DB_CASCADE`", saves.database_cascade, same(REFERENCE)),
    Kind("many-to-many relations: the rows at both ends", saves.many_to_many, same(NOTHING)),
    Kind("`save()` of a parent's row", saves.parent_saved, same(ROW)),
    Kind("`update()` of a parent's row", saves.parent_updated, same(ROW)),
    Kind("`save()` of a child", saves.child_saved, same(ROW)),
    Kind("`delete()` of a child", saves.child_deleted, same(ROW)),
    *both("`update()` of a parent's column", saves.updated_through_child, same(ROW)),
    Kind("`loaddata`", saves.loaddata, same(ROW)),
    Kind("`Deserializer`", saves.deserialize, same(ROW)),
    Kind("another key is given to a row: the new key", saves.key_taken, same(ROW)),
    Kind("another key is given to a row: the old key", saves.key_left, same(ROW)),
    Kind("`save()`, composite primary key", saves.composite_saved, (ROW, REFERENCE, ROW)),
    Kind("`delete()`, composite primary key", saves.composite_deleted, (ROW, REFERENCE, ROW)),
    *both("`update()`, composite primary key", saves.composite_updated, (ROW, REFERENCE, ROW)),
    Kind("a composite key changes", saves.composite_key_taken, same(ROW)),
    Kind("a composite key changes in part", saves.composite_key_taken_in_part, same(REFERENCE)),
    Kind("a row leaves `filter=`", saves.filter_left, same(ROW)),
    Kind("a row enters `filter=`", saves.filter_entered, same(ROW)),
    Kind("a spanned row changes", saves.renamed, same(ROW)),
    Kind("a row refers to another one", saves.moved, same(ROW)),
    *both("`update()` by primary key", bulk.by_key, same(ROW)),
    *both("`update()` by primary key, of text", bulk.of_text_key, (ROW, REFERENCE, ROW)),
    *both("`update()` by primary key, a UUID", bulk.of_uuid_key, same(ROW)),
    *both("`update()` by a condition", bulk.by_condition, same(REFERENCE)),
    Kind("`update()` of no declared field", bulk.by_other_column, same(NOTHING)),
    *both("`update()` with `F()`", bulk.with_expression, same(ROW)),
    *both("`update()` with `RawSQL`", bulk.with_raw_sql, same(ROW)),
    *both("`update()` across a relation", bulk.with_join, same(REFERENCE)),
    *both("`update()` of another key", bulk.of_key, same(REFERENCE)),
    Kind("more rows than `BULK_LIMIT`", bulk.beyond_limit, same(REFERENCE), is_precise=True),
    *both("`bulk_create()` with keys", bulk.bulk_create, same(ROW)),
    *both("`bulk_create()`, the database makes keys", bulk.bulk_create_numbered, same(REFERENCE)),
    Kind("`bulk_create(update_conflicts=True)`", bulk.upsert, same(REFERENCE)),
    Kind(
        "`bulk_create(update_conflicts=True)`, `ReferenceQuerySet`",
        bulk.upsert,
        # MariaDB cannot be told that only the primary key may be in the way.
        (ROW, REFERENCE, ROW),
        is_precise=True,
    ),
    *both("`bulk_create(ignore_conflicts=True)`", bulk.ignore_conflicts, same(REFERENCE)),
    *both("`bulk_update()`", bulk.bulk_update, same(ROW)),
    *both("`_raw_delete()`", bulk.raw_delete, same(REFERENCE)),
    *both("related `add()`", bulk.add, same(ROW)),
    *both("related `add(bulk=False)`", bulk.add_singly, same(ROW)),
    *both("related `remove()`", bulk.remove, same(ROW)),
    *both("related `remove(bulk=False)`", bulk.remove_singly, same(ROW)),
    *both("related `set()`", bulk.set_related, same(ROW)),
    *both("related `clear()`", bulk.clear, same(REFERENCE)),
    *both("related `clear(bulk=False)`", bulk.clear_singly, same(ROW)),
    Kind("`UPDATE ... WHERE id = %s`", sql.update_by_parameter, same(ROW)),
    Kind("`DELETE ... WHERE id = %s`", sql.delete_by_parameter, same(ROW)),
    Kind("`INSERT`, all values parameters", sql.insert_by_parameter, same(ROW)),
    Kind("any other `UPDATE`", sql.update, same(REFERENCE)),
    Kind("any other `DELETE`", sql.delete, same(REFERENCE)),
    Kind("any other `INSERT`", sql.insert, same(REFERENCE)),
    Kind("`REPLACE`", sql.replace, (NONE, REFERENCE, REFERENCE)),
    Kind("`ON CONFLICT`", sql.upsert, (REFERENCE, NONE, REFERENCE)),
    Kind("`ON DUPLICATE KEY UPDATE`", sql.upsert_on_mysql, (NONE, REFERENCE, NONE)),
    Kind("`WITH ... UPDATE`", sql.with_query, (REFERENCE, NONE, NONE)),
    Kind("`MERGE`", sql.merge, (REFERENCE, NONE, NONE)),
    Kind("`DO` block", sql.do_block, (REFERENCE, NONE, NONE)),
    Kind("`BEGIN NOT ATOMIC` block", sql.anonymous_block, (NONE, REFERENCE, NONE)),
    Kind("`executemany()`", sql.several, same(REFERENCE)),
    Kind("`raw()` that writes", sql.queryset_of_sql, (REFERENCE, NONE, REFERENCE)),
    Kind("`TRUNCATE`", sql.truncate, (REFERENCE, REFERENCE, NONE), alone=ALIASES),
    Kind("`TRUNCATE ... CASCADE`", sql.truncate_cascade, (REFERENCE, NONE, NONE), alone=ALIASES),
    Kind("`flush`", sql.flush, same(REFERENCE), alone=ALIASES),
    Kind("another program", beyond.other_connection, same(RELAY)),
    Kind("another program: `DB_CASCADE`", beyond.other_cascades, (RELAY, TTL, RELAY)),
    Kind("another program: `TRUNCATE`", beyond.other_truncates, (RELAY, TTL, NONE)),
    Kind("another program: `REPLACE`", beyond.other_replaces, (NONE, RELAY, TTL)),
    Kind("the driver's own cursor", beyond.driver, same(RELAY)),
    Kind("`COPY` through psycopg", beyond.copied, (RELAY, NONE, NONE)),
    Kind("`executescript()`", beyond.script, (NONE, NONE, RELAY)),
    Kind("`CALL`", beyond.called_procedure, (RELAY, RELAY, NONE)),
    Kind("`callproc()`", beyond.callproc, (RELAY, RELAY, NONE)),
    Kind("a function in a `SELECT`", beyond.function_in_query, (RELAY, RELAY, NONE)),
    Kind("`PREPARE` and `EXECUTE`", beyond.prepared, (RELAY, RELAY, NONE)),
    Kind("a `DO` block that composes its SQL", beyond.dynamic_block, (RELAY, NONE, NONE)),
    Kind("a view", beyond.view, (RELAY, RELAY, NONE)),
    Kind("a trigger that writes another table", beyond.trigger, same(RELAY)),
    Kind("`PREPARE TRANSACTION`", beyond.prepared_transaction, (RELAY, NONE, NONE)),
]


def cells(*expected: str) -> Iterator[tuple[Kind, str]]:
    """Each kind and alias of which one of *expected* is to be found."""
    for kind in KINDS:
        for alias in ALIASES:
            if kind.expected(alias) in expected:
                yield kind, alias
