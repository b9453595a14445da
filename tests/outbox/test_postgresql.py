"""What only PostgreSQL has: statements as a whole, roles, schemas, partitions, prepared commits."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import NotSupportedError, ProgrammingError, connection, connections, transaction

from refcache import ReferenceCache
from refcache.outbox.dialects import MOST_ROWS
from refcache.outbox.models import Change
from refcache.outbox.upkeep import State, states
from tests.outbox.conftest import run_sql
from tests.testapp.models import Cafe, Customer, Legacy, Shelf

pytestmark = pytest.mark.django_db(transaction=True)

Watched = Callable[..., None]
Relay = Callable[..., int]

ANY_ROW = None


@pytest.fixture
def customers(registry: ReferenceCache, watched: Watched) -> ReferenceCache:
    registry.register("testapp.Customer", ["name"], name="customer")
    watched(registry)
    return registry


@pytest.fixture
def legacy(registry: ReferenceCache, watched: Watched) -> Iterator[ReferenceCache]:
    run_sql(
        "default",
        "CREATE SCHEMA legacy",
        'CREATE TABLE legacy."Old Table" ("The Code" varchar(20) PRIMARY KEY, "select" text)',
    )
    try:
        registry.register("testapp.Legacy", ["name"], name="legacy")
        watched(registry)
        yield registry
    finally:
        run_sql("default", "DROP SCHEMA legacy CASCADE")


def rows() -> list[Any]:
    """The rows of each change, in order."""
    found = Change.objects.order_by("pk").values_list("rows", flat=True)
    return [None if each is None else json.loads(each) for each in found]


def make_customers(number: int) -> None:
    run_sql(
        "default",
        "INSERT INTO testapp_customer (id, name, tier, is_active) "  # noqa: S608 - ours
        f"SELECT n, 'c' || n, 'basic', true FROM generate_series(1, {number}) n",
    )
    Change.objects.all().delete()


@pytest.mark.usefixtures("customers")
def test_a_statement_is_one_change() -> None:
    make_customers(3)

    run_sql("default", "UPDATE testapp_customer SET name = 'x' WHERE id < 3")

    assert rows() == [[{"id": 1}, {"id": 2}]]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM testapp_customer",
        "UPDATE testapp_customer SET name = 'x'",
        """INSERT INTO testapp_customer (id, name, tier, is_active)
        SELECT id + 10000, name, tier, is_active FROM testapp_customer""",
    ],
)
@pytest.mark.usefixtures("customers")
def test_a_change_names_rows_up_to_a_limit(statement: str) -> None:
    make_customers(MOST_ROWS)
    run_sql("default", statement)
    assert [len(each) for each in rows()] == [MOST_ROWS]
    run_sql("default", "DELETE FROM testapp_customer")

    make_customers(MOST_ROWS + 1)
    run_sql("default", statement)
    assert rows() == [ANY_ROW]


def test_a_truncated_table_is_any_row(customers: ReferenceCache, relay: Relay) -> None:
    make_customers(2)
    customers["customer"].get_many([1, 2])

    run_sql("default", "TRUNCATE testapp_customer CASCADE")

    assert rows() == [ANY_ROW]
    relay(customers)
    assert customers["customer"].get_many([1, 2]) == {}


@pytest.mark.usefixtures("customers")
def test_an_upsert_notes_what_it_inserts_and_what_it_updates() -> None:
    make_customers(1)

    run_sql(
        "default",
        "INSERT INTO testapp_customer (id, name, tier, is_active) "
        "VALUES (1, 'x', 'basic', true), (2, 'y', 'basic', true) "
        "ON CONFLICT (id) DO UPDATE SET name = excluded.name",
    )

    assert sorted(rows(), key=str) == [[{"id": 1}], [{"id": 2}]]


@pytest.mark.usefixtures("customers")
def test_copied_rows_are_noted() -> None:
    with (
        connection.cursor() as cursor,
        cursor.copy("COPY testapp_customer (id, name, tier, is_active) FROM STDIN") as copy,
    ):
        copy.write_row((1, "Ann", "basic", True))

    assert rows() == [[{"id": 1}]]


@pytest.mark.usefixtures("customers")
def test_rows_that_the_database_cascades_to_are_noted() -> None:
    run_sql(
        "default",
        "INSERT INTO testapp_company (id, name, code) VALUES (1, 'ACME', 'a')",
        "INSERT INTO testapp_customer (id, name, tier, is_active, company_code_id) "
        "VALUES (1, 'Ann', 'basic', true, 'a')",
        "ALTER TABLE testapp_customer ADD CONSTRAINT cascading FOREIGN KEY (company_code_id) "
        "REFERENCES testapp_company (code) ON DELETE CASCADE",
    )
    Change.objects.all().delete()
    try:
        run_sql("default", "DELETE FROM testapp_company")
    finally:
        run_sql("default", "ALTER TABLE testapp_customer DROP CONSTRAINT cascading")

    assert rows() == [[{"id": 1}]]


def test_keys_of_several_columns_and_parents_are_noted(
    registry: ReferenceCache, watched: Watched, relay: Relay
) -> None:
    registry.register("testapp.Shelf", ["label"], name="shelf")
    registry.register("testapp.Cafe", ["name", "seats"], name="cafe")
    watched(registry)
    Shelf.objects.create(pk=("a", 1), label="old")
    cafe = Cafe.objects.create(name="old", seats=3)

    def read() -> tuple[str, str]:
        shelves = registry["shelf"].get_many([("a", 1)])
        cafes = registry["cafe"].get_many([cafe.pk])
        return shelves["a", 1].label, cafes[cafe.pk].name

    assert read() == ("old", "old")

    run_sql("default", "UPDATE testapp_shelf SET label = 'new'")
    run_sql("default", "UPDATE testapp_place SET name = 'new'")

    assert rows()[-2:] == [[{"hall": "a", "number": 1}], [{"id": cafe.pk}]]
    relay(registry)
    assert read() == ("new", "new")


def test_a_spanned_row_is_noted(registry: ReferenceCache, watched: Watched, relay: Relay) -> None:
    registry.register("testapp.Customer", ["company__name"], name="employee")
    watched(registry)
    run_sql(
        "default",
        "INSERT INTO testapp_company (id, name, code) VALUES (1, 'old', 'a')",
        "INSERT INTO testapp_customer (id, name, tier, is_active, company_id) "
        "VALUES (1, 'Ann', 'basic', true, 1)",
    )
    relay(registry)
    assert registry["employee"].get_many([1])[1]["company__name"] == "old"

    run_sql("default", "UPDATE testapp_company SET name = 'new'")
    relay(registry)

    assert registry["employee"].get_many([1])[1]["company__name"] == "new"


def test_an_unmanaged_table_with_an_odd_name_is_watched(
    legacy: ReferenceCache, relay: Relay
) -> None:
    run_sql("default", """INSERT INTO legacy."Old Table" VALUES ('a''b', 'old')""")
    relay(legacy)
    assert legacy["legacy"].get_many(["a'b"])["a'b"].name == "old"

    run_sql("default", """UPDATE legacy."Old Table" SET "select" = 'new'""")

    assert rows() == [[{"The Code": "a'b"}]]
    relay(legacy)
    assert legacy["legacy"].get_many(["a'b"])["a'b"].name == "new"
    assert Legacy.objects.get().name == "new"


def test_names_as_long_as_they_may_be_get_triggers_of_their_own(
    legacy: ReferenceCache, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = "ä" * 31
    run_sql("default", f'CREATE TABLE legacy."{long}" ("The Code" text PRIMARY KEY, "select" text)')
    monkeypatch.setattr(Legacy._meta, "db_table", f'legacy"."{long}')
    watched(legacy)

    run_sql("default", f"""INSERT INTO legacy."{long}" VALUES ('a', 'old')""")  # noqa: S608 - ours

    assert rows() == [[{"The Code": "a"}]]
    # PostgreSQL shortens in silence: a name that is not found again was too long.
    assert states("default", legacy.tables("default")) == {"Old Table": State.CURRENT}


@pytest.mark.usefixtures("legacy")
def test_columns_without_an_equality_can_be_compared() -> None:
    run_sql("default", 'ALTER TABLE legacy."Old Table" ADD a json, ADD b point, ADD c xml')
    run_sql("default", """INSERT INTO legacy."Old Table" VALUES ('a', 'x', '{"a": 1}', '(1,2)')""")
    Change.objects.all().delete()

    run_sql("default", """UPDATE legacy."Old Table" SET a = '{"a": 1}'""")
    assert rows() == []
    run_sql("default", """UPDATE legacy."Old Table" SET a = '{"a": 2}'""")
    assert rows() == [[{"The Code": "a"}]]


@pytest.mark.usefixtures("legacy")
def test_a_trigger_refuses_no_write_after_a_column_was_renamed() -> None:
    run_sql("default", 'ALTER TABLE legacy."Old Table" RENAME "The Code" TO code')

    run_sql("default", """INSERT INTO legacy."Old Table" VALUES ('a', 'old')""")

    assert rows() == [ANY_ROW]


@pytest.mark.usefixtures("legacy")
def test_a_writer_needs_no_rights_on_the_outbox() -> None:
    run_sql(
        "default",
        "CREATE ROLE writer",
        "GRANT USAGE ON SCHEMA legacy TO writer",
        'GRANT SELECT, INSERT ON legacy."Old Table" TO writer',
    )
    try:
        run_sql(
            "default",
            "SET ROLE writer",
            """INSERT INTO legacy."Old Table" VALUES ('a', 'old')""",
        )
        with pytest.raises(ProgrammingError, match="permission denied"):
            run_sql("default", "SET ROLE writer", "DELETE FROM refcache_outbox")
    finally:
        run_sql("default", "DROP OWNED BY writer", "DROP ROLE writer")

    assert rows() == [[{"The Code": "a"}]]


@pytest.mark.usefixtures("legacy")
def test_nothing_that_a_writer_puts_in_its_path_is_used() -> None:
    """Else the function would do, with its owner's rights, what the writer's operators say."""
    run_sql(
        "default",
        "CREATE SCHEMA trap",
        "CREATE TABLE trap.refcache_outbox (LIKE public.refcache_outbox)",
        "CREATE FUNCTION trap.clock_timestamp() RETURNS timestamptz LANGUAGE plpgsql "
        "AS $$ BEGIN RAISE 'trapped'; END $$",
        "CREATE FUNCTION trap.pg_notify(text, text) RETURNS void LANGUAGE plpgsql "
        "AS $$ BEGIN RAISE 'trapped'; END $$",
    )
    try:
        run_sql(
            "default",
            "CREATE TEMP TABLE refcache_outbox (LIKE public.refcache_outbox)",
            "SET search_path = trap, pg_temp, pg_catalog",
            """INSERT INTO legacy."Old Table" VALUES ('a', 'old')""",
        )
    finally:
        run_sql("default", "DROP SCHEMA trap CASCADE")

    assert rows() == [[{"The Code": "a"}]]


@pytest.mark.usefixtures("legacy")
def test_nobody_else_may_use_the_function_for_a_table_of_his_own() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.oid::regproc::text FROM pg_proc p WHERE starts_with(proname, 'refcache_note')"
        )
        ((function,),) = cursor.fetchall()
    run_sql("default", "CREATE ROLE writer", "GRANT CREATE ON SCHEMA legacy TO writer")
    try:
        with pytest.raises(ProgrammingError, match="permission denied for function"):
            run_sql(
                "default",
                "GRANT USAGE ON SCHEMA legacy TO writer",
                "SET ROLE writer",
                "CREATE TABLE legacy.own (id int)",
                "CREATE TRIGGER own AFTER TRUNCATE ON legacy.own "
                f"FOR EACH STATEMENT EXECUTE FUNCTION {function}()",
            )
    finally:
        run_sql("default", "DROP OWNED BY writer CASCADE", "DROP ROLE writer")


def test_partitions_are_watched_by_whatever_name_they_are_written(
    legacy: ReferenceCache, watched: Watched
) -> None:
    run_sql(
        "default",
        'DROP TABLE legacy."Old Table"',
        'CREATE TABLE legacy."Old Table" ("The Code" text PRIMARY KEY, "select" text) '
        'PARTITION BY RANGE ("The Code")',
        """CREATE TABLE legacy.first PARTITION OF legacy."Old Table"
        FOR VALUES FROM ('a') TO ('m')""",
        # Its columns stand in another order.
        'CREATE TABLE legacy.second ("select" text, "The Code" text PRIMARY KEY)',
        """ALTER TABLE legacy."Old Table" ATTACH PARTITION legacy.second
        FOR VALUES FROM ('m') TO ('z')""",
    )
    watched(legacy)

    run_sql("default", """INSERT INTO legacy."Old Table" VALUES ('b', 'old'), ('n', 'old')""")
    run_sql("default", """UPDATE legacy.second SET "select" = 'new'""")
    run_sql("default", """UPDATE legacy."Old Table" SET "The Code" = 'o' WHERE "The Code" = 'b'""")

    assert rows() == [
        [{"The Code": "b"}, {"The Code": "n"}],
        [{"The Code": "n"}],
        [{"The Code": "b"}, {"The Code": "o"}],
    ]


def test_a_prepared_transaction_is_relayed_once_it_is_committed(
    customers: ReferenceCache, watched: Watched, relay: Relay
) -> None:
    watched(customers, notify=False)
    make_customers(1)
    assert customers["customer"].get_many([1])[1].name == "c1"

    run_sql(
        "default",
        "BEGIN; UPDATE testapp_customer SET name = 'new'; PREPARE TRANSACTION 'p'",
    )
    assert relay(customers) == 0
    run_sql("default", "COMMIT PREPARED 'p'")

    assert relay(customers) == 1
    assert customers["customer"].get_many([1])[1].name == "new"


@pytest.mark.usefixtures("customers")
def test_a_change_notifies_unless_that_is_unwanted() -> None:
    make_customers(1)

    with pytest.raises(NotSupportedError, match="cannot PREPARE a transaction that has executed"):
        run_sql("default", "BEGIN; DELETE FROM testapp_customer; PREPARE TRANSACTION 'p'")


def test_values_do_not_depend_on_the_session(registry: ReferenceCache, watched: Watched) -> None:
    registry.register("testapp.Customer", ["name"], name="mail", key="email")
    watched(registry)

    run_sql(
        "default",
        "SET bytea_output = escape; SET extra_float_digits = -5; SET datestyle = 'German'",
        "INSERT INTO testapp_customer (id, name, tier, email, is_active) "
        """VALUES (9007199254740993, 'a', 'b', 'ä"\\', true)""",
    )

    assert rows() == [[{"id": 9007199254740993, "email": 'ä"\\'}]]


def test_changes_within_a_transaction_are_relayed_after_its_commit(
    customers: ReferenceCache, relay: Relay
) -> None:
    other = connections["default"].copy()
    try:
        with transaction.atomic(), other.cursor() as cursor:
            Customer.objects.bulk_create([Customer(pk=5, name="Ann")])
            cursor.execute("SELECT count(*) FROM refcache_outbox")
            assert cursor.fetchone() == (0,)
    finally:
        other.close()

    assert relay(customers) == 1
