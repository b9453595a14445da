"""What the text of a statement tells, and that nothing is told which may be wrong."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refcache.sql.statements import Match, Statement, Verb, analyse

ID = Match(("id",), 1, 1)


def insert(columns: tuple[str, ...] | None, places: object, count: int, *, adds: bool) -> Statement:
    return Statement(Verb.INSERT, "INSERT", "t", columns, places, (), count, adds)  # type: ignore[arg-type]  # as given below


def update(count: int, *matches: Match, **rest: object) -> Statement:
    found = Statement(Verb.UPDATE, "UPDATE", "t", ("a",), ({"a": 0},), matches, count)
    return found._replace(**rest)  # type: ignore[arg-type]  # as above


def delete(count: int, *matches: Match) -> Statement:
    return Statement(Verb.DELETE, "DELETE", "t", (), None, matches, count)


UNDERSTOOD = [
    ('INSERT INTO "t" ("a", "b") VALUES (%s, %s)',
     insert(("a", "b"), ({"a": 0, "b": 1},), 2, adds=True)),
    ('INSERT INTO "t" ("a", "b") VALUES (%s, %s), (%s, DEFAULT) RETURNING "t"."id"',
     insert(("a", "b"), ({"a": 0, "b": 1}, {"a": 2, "b": None}), 3, adds=True)),
    ('INSERT INTO "t" ("a") SELECT * FROM UNNEST((%s)::varchar[]) RETURNING "t"."id"',
     insert(("a",), None, 1, adds=True)),
    ('INSERT INTO "t" ("a") SELECT "u"."a" FROM "u" WHERE "u"."b" = %s',
     insert(("a",), None, 1, adds=True)),
    ('INSERT INTO "t" ("a") VALUES (UPPER(%s))', insert(("a",), None, 1, adds=True)),
    ('INSERT INTO "t" ("a") VALUES (%s) ON CONFLICT DO NOTHING',
     insert(("a",), None, 1, adds=False)),
    ('INSERT INTO "t" ("a") VALUES (%s) ON CONFLICT("a") DO UPDATE SET "a" = EXCLUDED."a"',
     insert(("a",), None, 1, adds=False)),
    ("INSERT INTO `t` (`a`) VALUES (%s) AS new ON DUPLICATE KEY UPDATE `a` = new.`a`",
     insert(("a",), None, 1, adds=False)),
    ('INSERT OR IGNORE INTO "t" ("a") VALUES (%s)', insert(("a",), ({"a": 0},), 1, adds=False)),
    ("INSERT IGNORE INTO `t` (`a`) VALUES (%s)", insert(("a",), ({"a": 0},), 1, adds=False)),
    ('INSERT INTO "t" DEFAULT VALUES', insert(None, None, 0, adds=True)),
    ('UPDATE "t" SET "a" = %s', update(1)),
    ('UPDATE "t" SET "a" = %s WHERE "t"."id" = %s', update(2, ID)),
    ("UPDATE `t` SET `a` = %s WHERE `t`.`id` = %s;", update(2, ID)),
    ("update t set A = %s where ID = %s", update(2, ID)),
    ('UPDATE "s"."t" SET "a" = %s WHERE "s"."t"."id" = %s', update(2, ID)),
    ('UPDATE "t" SET "a" = "t"."a" + %s WHERE "t"."id" IN (%s, %s)',
     update(3, Match(("id",), 1, 2), places=({"a": None},))),
    ('UPDATE "t" SET "a" = %s WHERE ("t"."id" = %s AND "t"."b" > %s)', update(3, ID)),
    ('UPDATE "t" SET "a" = %s WHERE (NOT ("t"."b" = %s) AND "t"."id" = %s)',
     update(3, Match(("id",), 2, 1))),
    ('UPDATE "t" SET "a" = CASE WHEN ("t"."id" = %s) THEN %s ELSE NULL END WHERE "t"."id" IN (%s)',
     update(3, Match(("id",), 2, 1), places=({"a": None},))),
    ('UPDATE "t" SET "a" = %s WHERE ("t"."x" = %s AND "t"."y" = %s)',
     update(3, Match(("x",), 1, 1), Match(("y",), 2, 1))),
    ('UPDATE "t" SET "a" = %s WHERE ("t"."x", "t"."y") IN ((%s, %s), (%s, %s))',
     update(5, Match(("x", "y"), 1, 2))),
    ('UPDATE "t" SET "a" = %s WHERE ("x", "y") = (%s, %s)', update(3, Match(("x", "y"), 1, 1))),
    ('DELETE FROM "t"', delete(0)),
    ('DELETE FROM "t" WHERE 0', delete(0, Match((), 0, 0))),
    ('DELETE FROM "t" WHERE "t"."id" IN (%s, %s)', delete(2, Match(("id",), 0, 2))),
    ('DELETE FROM "t" WHERE "t"."id" = %s RETURNING "t"."id"', delete(1, Match(("id",), 0, 1))),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "expected"), UNDERSTOOD, ids=lambda each: str(each)[:60])
def test_a_statement_of_djangos_is_understood(sql: str, expected: Statement) -> None:
    assert analyse(sql) == expected


@pytest.mark.parametrize(
    "condition",
    [
        "id = %s OR b = 1",
        "(id = %s) OR b = 1",
        "b = 1 OR c = 1 AND id = %s",
        "b || c AND id = %s",
        "b = 1 XOR c = 1 AND id = %s",
        "(id, b) IN ((%s, %s), (%s))",
        "id = %s || b",
        "id = %s && b",
        "NOT id = %s",
        "NOT (id = %s)",
        "b BETWEEN 1 AND id = %s",
        "(id = %s) IS FALSE",
        "(b = 1 AND id = %s) IS FALSE",
        "id = %s IS FALSE",
        "id = %s COLLATE nocase",
        "COALESCE(id = %s, TRUE)",
        "id NOT IN (%s)",
        "id <> %s",
        "CASE WHEN b AND id = %s THEN FALSE END",
        "ARRAY[b AND id = %s AND c] = ARRAY[FALSE]",
        "id IN (SELECT b FROM u WHERE c = %s)",
        "id = ANY(%s)",
        "(id, b) IN ((%s, 1))",
    ],
)
def test_a_condition_that_other_rows_may_fulfil_names_none(condition: str) -> None:
    found = analyse(f"UPDATE t SET a = 1 WHERE {condition}")  # noqa: S608 - nobody executes it

    assert (found.verb, found.table, found.matches) == (Verb.UPDATE, "t", ())


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE t SET a = %s FROM u WHERE t.id = %s",
        "UPDATE t, u SET t.a = %s WHERE t.id = %s",
        "UPDATE t JOIN u ON t.id = u.id SET t.a = %s",
        "UPDATE t SET a = %s WHERE id = %s ORDER BY b LIMIT 1",
        "UPDATE t SET a = %s WHERE id = %s LIMIT 1",
        "UPDATE t x SET a = %s WHERE x.id = %s",
        "UPDATE ONLY t SET a = %s",
        "UPDATE t SET (a, b) = (%s, %s) WHERE id = %s",
        "UPDATE t SET a = %s -- WHERE id = %s",
        "UPDATE t SET a = %s /* WHERE id */ WHERE id = %s",
        "UPDATE t SET a = %s # WHERE id = %s",
        "UPDATE t SET a = $$ WHERE id = $$ WHERE id = %s",
        r"UPDATE t SET a = '\' WHERE id = %s",
        "UPDATE t SET a = %s; DELETE FROM u",
        "UPDATE t SET a = (%s WHERE id = %s",
        "DELETE FROM t USING u WHERE t.id = %s",
        "DELETE t FROM t JOIN u WHERE t.id = %s",
        "DELETE FROM t x WHERE x.id = %s",
        "INSERT INTO t (a) VALUES (%s); DELETE FROM u",
        "INSERT INTO t (a) WITH d AS (DELETE FROM u RETURNING a) SELECT a FROM d",
        "WITH d AS (DELETE FROM t RETURNING id) SELECT id FROM d",
        "WITH d AS (SELECT 1) UPDATE t SET a = %s",
        "REPLACE INTO t (a) VALUES (%s)",
        "MERGE INTO t USING u ON t.id = u.id WHEN MATCHED THEN DELETE",
        "TRUNCATE t",
        "COPY t FROM STDIN",
        "CALL p()",
        "DO $$ BEGIN UPDATE t SET a = 1; END $$",
        "EXPLAIN ANALYZE DELETE FROM t",
        "ANALYZE FORMAT=JSON UPDATE t SET a = 1",
        "SET STATEMENT max_statement_time = 1 FOR DELETE FROM t",
        "PREPARE p AS DELETE FROM t",
        "SELECT 1; DELETE FROM t",
        "CREATE TABLE t AS SELECT 1",
        "",
        "((",
    ],
)
def test_what_is_no_form_of_djangos_may_write_whatever_it_mentions(sql: str) -> None:
    assert analyse(sql).verb is Verb.OTHER


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        " (SELECT 1) UNION (SELECT 2);",
        "-- DELETE FROM t\nSELECT 1",
        "/* a */ /* b */ SELECT a FROM t FOR UPDATE",
        "WITH x AS (SELECT 1) SELECT * FROM x",
        "EXPLAIN SELECT 1",
        "VALUES (1)",
        "SHOW server_version",
    ],
)
def test_reads_are_told(sql: str) -> None:
    assert analyse(sql).verb is Verb.READ


@pytest.mark.parametrize(
    "sql",
    ["BEGIN", "COMMIT", "ROLLBACK TO SAVEPOINT x", "SET x = 1", "PRAGMA x", "VACUUM", "XA START x"],
)
def test_what_changes_no_row_is_told(sql: str) -> None:
    assert analyse(sql).verb is Verb.CONTROL


@pytest.mark.parametrize(
    ("sql", "given"),
    [
        ("UPDATE t SET a = '%s' WHERE id = %s", 2),
        ("UPDATE t SET a = %t WHERE id = %s", 2),
        ("INSERT INTO t (a) VALUES (%s) RETURNING '%%s'", 1),
    ],
)
def test_a_parameter_that_was_not_seen_leaves_another_number(sql: str, given: int) -> None:
    assert analyse(sql).parameters != given


def test_leading_comments_take_no_time() -> None:
    assert analyse("/**/" * 10_000 + "1").verb is Verb.OTHER


WORDS = (
    *("INSERT INTO", "UPDATE", "DELETE FROM", "SELECT", "WITH", "SET", "WHERE", "VALUES", "FROM"),
    *("RETURNING", "AS", "AND", "OR", "NOT", "IN", "CASE", "END", "ON CONFLICT", "DO UPDATE", ","),
    *("t", "u", '"v"', "`w`", "x.y", '"id"', "a", "=", "%s", "1", "(", ")", "[", "]", ";", "--"),
    *("/*", "*/", "'", '"', "`", "$$", "OR IGNORE"),
)
FRAGMENTS = st.sampled_from([*(f"{word} " for word in WORDS), "%s", "%%", "(", ")", "\n", "\\"])
COMPOSED = st.lists(FRAGMENTS, max_size=20).map("".join)
STARTED = st.tuples(
    st.sampled_from(["INSERT INTO t (a) ", "UPDATE t SET a = %s ", "DELETE FROM t "]), COMPOSED
).map("".join)
# Where a statement may begin, in a text without strings, names in quotes and comments.
WRITTEN = re.compile(r"(?:^|;)\s*(?:INSERT INTO|UPDATE|DELETE FROM) ([a-z_.]+)")


@given(st.one_of(st.text(), COMPOSED, STARTED))
def test_no_text_is_too_odd(sql: str) -> None:
    found = analyse(sql)

    assert isinstance(found.verb, Verb)
    for match in found.matches:
        assert match.start + len(match.columns) * match.many <= found.parameters


@given(st.one_of(COMPOSED, STARTED))
def test_no_table_that_is_written_is_overlooked(sql: str) -> None:
    found = analyse(sql)
    quoted = any(quote in sql for quote in ("'", '"', "`", "--", "/*"))

    if quoted or found.verb in (Verb.OTHER, Verb.READ) or "DO UPDATE" in sql:
        return
    names = {name.rpartition(".")[2] for name in WRITTEN.findall(sql)}
    assert names <= {found.table}


@given(st.one_of(COMPOSED, STARTED))
def test_a_statement_that_writes_is_no_read_unless_it_begins_as_one(sql: str) -> None:
    if analyse(sql).verb is Verb.READ:
        assert re.match(r"[\s(]*(?:(?:--.*\n|/\*.*?\*/)[\s(]*)*(?:SELECT|WITH|VALUES)", sql)
        assert sql.count(";") <= len(sql.rstrip()) - len(sql.rstrip().rstrip(";"))
