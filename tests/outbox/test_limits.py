"""What triggers do not see, as docs/outbox.md lists it; and odd values that they must bear."""

import json
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from django.db import connections

from refcache import ReferenceCache
from refcache.outbox.models import Change
from tests.outbox.conftest import run_sql

ALIASES = ["default", "sqlite", "mariadb"]
pytestmark = pytest.mark.django_db(transaction=True, databases=ALIASES)

Watched = Callable[..., None]

COLUMNS = "(id, name, tier, email, is_active)"
REPLACE = f"REPLACE INTO testapp_customer {COLUMNS} VALUES (2, 'a', 'b', 'x', TRUE)"  # noqa: S608 - ours


@pytest.fixture
def watch(registry: ReferenceCache, watched: Watched) -> Callable[[str], None]:
    def watch(alias: str) -> None:
        registry.register("testapp.Customer", ["name"], name="customer", using=alias)
        registry.register("testapp.Customer", ["tier"], name="mail", key="email", using=alias)
        watched(registry, alias)
        run_sql(alias, f"INSERT INTO testapp_customer {COLUMNS} VALUES (1, 'a', 'b', 'x', TRUE)")  # noqa: S608 - ours
        Change.objects.using(alias).all().delete()

    return watch


def rows(alias: str) -> list[Any]:
    found = Change.objects.using(alias).order_by("pk").values_list("rows", flat=True)
    return [None if each is None else json.loads(each) for each in found]


def test_mariadb_does_not_tell_of_a_truncated_table(watch: Callable[[str], None]) -> None:
    watch("mariadb")

    run_sql("mariadb", "SET foreign_key_checks = 0", "TRUNCATE testapp_customer")

    assert rows("mariadb") == []


def test_mariadb_does_not_tell_of_cascades(watch: Callable[[str], None]) -> None:
    watch("mariadb")
    run_sql(
        "mariadb",
        "CREATE TABLE owner (id bigint PRIMARY KEY)",
        "INSERT INTO owner VALUES (1)",
        "ALTER TABLE testapp_customer ADD CONSTRAINT owned FOREIGN KEY (id) "
        "REFERENCES owner (id) ON DELETE CASCADE",
    )
    try:
        run_sql("mariadb", "DELETE FROM owner")
    finally:
        run_sql(
            "mariadb",
            "ALTER TABLE testapp_customer DROP CONSTRAINT owned",
            "DROP TABLE owner",
        )

    assert rows("mariadb") == []


def test_sqlite_tells_of_the_row_that_replaces_and_not_of_the_other(
    watch: Callable[[str], None],
) -> None:
    watch("sqlite")

    run_sql("sqlite", REPLACE)

    assert rows("sqlite") == [[{"id": 2, "email": "x"}]]


def test_sqlite_tells_of_both_with_recursive_triggers(watch: Callable[[str], None]) -> None:
    watch("sqlite")

    run_sql(
        "sqlite",
        "PRAGMA recursive_triggers = ON",
        REPLACE,
    )

    assert rows("sqlite") == [[{"id": 1, "email": "x"}], [{"id": 2, "email": "x"}]]


def test_postgresql_does_not_tell_of_what_is_replicated(watch: Callable[[str], None]) -> None:
    watch("default")

    run_sql(
        "default",
        "SET session_replication_role = replica",
        "UPDATE testapp_customer SET name = 'new'",
    )

    assert rows("default") == []


def test_sqlite_tells_of_a_change_that_a_collation_ignores(
    registry: ReferenceCache, watched: Watched
) -> None:
    run_sql(
        "sqlite",
        'CREATE TABLE "Old Table" ("The Code" text PRIMARY KEY, "select" text COLLATE NOCASE)',
        """INSERT INTO "Old Table" VALUES ('a', 'Ann')""",
    )
    try:
        registry.register("testapp.Legacy", ["name"], name="legacy", using="sqlite")
        watched(registry, "sqlite")
        run_sql("sqlite", """UPDATE "Old Table" SET "select" = 'ANN'""")
    finally:
        run_sql("sqlite", 'DROP TABLE "Old Table"')

    assert rows("sqlite") == [[{"The Code": "a"}, {"The Code": "a"}]]


def test_sqlite_bears_bytes_where_a_key_should_be(watch: Callable[[str], None]) -> None:
    """JSON holds none, and the write must not fail for it."""
    watch("sqlite")

    run_sql("sqlite", "UPDATE testapp_customer SET email = x'00ff'")

    assert rows("sqlite") == [[{"id": 1, "email": "x"}, {"id": 1, "email": "\\x00ff"}]]


def test_a_writer_to_mariadb_needs_no_rights_on_the_outbox(watch: Callable[[str], None]) -> None:
    watch("mariadb")
    settings = connections["mariadb"].settings_dict
    run_sql(
        "mariadb",
        "CREATE USER writer@'%'",
        f"GRANT SELECT, UPDATE ON `{settings['NAME']}`.testapp_customer TO writer@'%'",
    )
    try:
        own = connections["mariadb"].copy()
        own.settings_dict = {**settings, "USER": "writer"}
        with own.wrap_database_errors, closing(own.get_new_connection(params(own))) as raw:
            raw.cursor().execute("UPDATE testapp_customer SET name = 'new'")
            raw.commit()
    finally:
        run_sql("mariadb", "DROP USER writer@'%'")

    assert rows("mariadb") == [[{"id": 1, "email": "x"}, {"id": 1, "email": "x"}]]


def params(connection: Any) -> dict[str, Any]:
    found: dict[str, Any] = connection.get_connection_params()
    return found


@pytest.mark.parametrize("alias", ALIASES)
def test_any_text_can_be_a_key(watch: Callable[[str], None], alias: str) -> None:
    watch(alias)

    run_sql(alias, """UPDATE testapp_customer SET email = 'a"b''c%d{ä€\U0001f600'""")

    assert {row["email"] for row in rows(alias)[0]} == {"x", "a\"b'c%d{ä€\U0001f600"}
