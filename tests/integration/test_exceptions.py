"""What the database adds to a statement, and sessions that look elsewhere: see docs/writes.md.

Django sees none of it. Triggers see what the database adds; nothing sees the other sessions.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import NamedTuple

import pytest
from django.db import connection

from refcache import ReferenceCache
from refcache.reference import Reference
from tests.integration.conftest import NewRegistry
from tests.integration.every_write.scenes import Writer
from tests.outbox.conftest import driver_connection, no_triggers, relay, run_sql, stop, watched
from tests.testapp.models import Company, Customer, Legacy

__all__ = ["no_triggers", "relay", "stop", "watched"]

pytestmark = pytest.mark.django_db(transaction=True)

Watch = Callable[..., None]
Drain = Callable[..., int]

PARENT = 'legacy."Old Table"'


class Case(NamedTuple):
    """A write, and what it changes beside what its statement names.

    Args:
        declared: The model, and the one field that is read.
        key: Of the row that is looked at.
        before: What is read before the write.
        after: What the row holds afterwards; None: there is no row.
        write: Performs it, through Django.
    """

    declared: tuple[str, str]
    key: object
    before: object
    after: object
    write: Callable[[], object]


def same_row(writer: Writer) -> Case:
    """A trigger BEFORE UPDATE, which changes a column that the statement does not name."""
    ann = Customer.objects.create(name="Ann")
    writer.make(
        "CREATE FUNCTION name_by_tier() RETURNS trigger LANGUAGE plpgsql AS "
        "$$BEGIN NEW.name := 'Lady ' || OLD.name; RETURN NEW; END$$",
        "DROP FUNCTION name_by_tier",
    )
    writer.make(
        "CREATE TRIGGER name_by_tier BEFORE UPDATE ON testapp_customer "
        "FOR EACH ROW EXECUTE FUNCTION name_by_tier()",
        "DROP TRIGGER name_by_tier ON testapp_customer",
    )

    def write() -> None:
        ann.tier = "gold"
        ann.save(update_fields=["tier"])

    return Case(("testapp.Customer", "name"), ann.pk, "Ann", "Lady Ann", write)


def foreign_key(writer: Writer, column: str, target: str, action: str) -> None:
    """One that Django does not know, from customers to companies."""
    writer.make(
        f"ALTER TABLE testapp_customer ADD CONSTRAINT unknown FOREIGN KEY ({column}) "
        f"REFERENCES testapp_company ({target}) {action}",
        "ALTER TABLE testapp_customer DROP CONSTRAINT unknown",
    )


def set_null(writer: Writer) -> Case:
    foreign_key(writer, "company_id", "id", "ON DELETE SET NULL")
    company = Company.objects.create(name="Initech", code="i")
    ann = Customer.objects.create(name="Ann", company=company)

    def write() -> None:
        writer.execute("DELETE FROM testapp_company WHERE id = %s", [company.pk])

    return Case(("testapp.Customer", "company_id"), ann.pk, company.pk, None, write)


def deleted(writer: Writer) -> Case:
    foreign_key(writer, "company_id", "id", "ON DELETE CASCADE")
    company = Company.objects.create(name="Initech", code="i")
    ann = Customer.objects.create(name="Ann", company=company)

    def write() -> None:
        writer.execute("DELETE FROM testapp_company WHERE id = %s", [company.pk])

    return Case(("testapp.Customer", "name"), ann.pk, "Ann", None, write)


def updated(writer: Writer) -> Case:
    """The new code goes to those that refer to it, as well."""
    foreign_key(writer, "company_code_id", "code", "ON UPDATE CASCADE")
    company = Company.objects.create(name="Initech", code="i")
    ann = Customer.objects.create(name="Ann", company_code=company)

    def write() -> None:
        writer.execute("UPDATE testapp_company SET code = 'new' WHERE id = %s", [company.pk])

    return Case(("testapp.Customer", "company_code_id"), ann.pk, "i", "new", write)


def make_parent(writer: Writer, how: str = "") -> None:
    writer.make("CREATE SCHEMA legacy", "DROP SCHEMA legacy CASCADE")
    writer.execute(
        f'CREATE TABLE {PARENT} ("The Code" varchar(20) PRIMARY KEY, "select" varchar(50)) {how}'
    )


def partition(writer: Writer) -> Case:
    make_parent(writer, 'PARTITION BY RANGE ("The Code")')
    writer.execute(
        f"CREATE TABLE legacy.early PARTITION OF {PARENT} FOR VALUES FROM ('a') TO ('m')"
    )
    Legacy.objects.create(code="b", name="old")

    def write() -> None:
        writer.execute("""UPDATE legacy.early SET "select" = 'new' WHERE "The Code" = 'b'""")

    return Case(("testapp.Legacy", "name"), "b", "old", "new", write)


def child(writer: Writer) -> Case:
    """A table that inherits in the other way."""
    make_parent(writer)
    writer.execute(f"CREATE TABLE legacy.child () INHERITS ({PARENT})")
    writer.execute("INSERT INTO legacy.child VALUES ('b', 'old')")

    def write() -> None:
        writer.execute("""UPDATE legacy.child SET "select" = 'new' WHERE "The Code" = 'b'""")

    return Case(("testapp.Legacy", "name"), "b", "old", "new", write)


@pytest.fixture
def writer() -> Iterator[Writer]:
    writer = Writer("default", is_precise=False)
    with writer.lasting:
        yield writer


def play(case: Case, registry: ReferenceCache) -> Callable[[], object]:
    """Return what reads the row."""
    model, field = case.declared
    registry.register(model, [field], name="read")

    def read() -> object:
        found = registry["read"].get(case.key)
        return getattr(found, field) if found else None

    return read


@pytest.mark.parametrize(
    "arrange", [same_row, set_null, deleted, updated, partition], ids=lambda each: each.__name__
)
def test_what_the_database_adds_is_read_after_the_relay(
    arrange: Callable[[Writer], Case],
    writer: Writer,
    registry: ReferenceCache,
    watched: Watch,
    relay: Drain,
) -> None:
    case = arrange(writer)
    read = play(case, registry)
    watched(registry)
    assert read() == case.before

    case.write()
    assert read() == case.before
    assert relay(registry) > 0

    assert read() == case.after


@pytest.mark.parametrize(
    "arrange",
    [same_row, set_null, deleted, updated, partition, child],
    ids=lambda each: each.__name__,
)
def test_without_triggers_it_is_read_when_all_is_invalidated(
    arrange: Callable[[Writer], Case], writer: Writer, registry: ReferenceCache
) -> None:
    case = arrange(writer)
    read = play(case, registry)
    assert read() == case.before

    case.write()
    assert read() == case.before
    registry["read"].invalidate_all()

    assert read() == case.after


def test_a_child_that_is_no_partition_is_not_seen_by_triggers(
    writer: Writer, registry: ReferenceCache, watched: Watch, relay: Drain
) -> None:
    case = child(writer)
    read = play(case, registry)
    watched(registry)
    assert read() == case.before

    case.write()

    assert relay(registry) == 0
    assert read() == case.before


@contextmanager
def looking_elsewhere(*statements: str) -> Iterator[None]:
    """Django's session, until the block ends, after these statements."""
    try:
        with connection.cursor() as cursor:
            for each in statements:
                cursor.execute(each)
        yield
    finally:
        connection.close()  # Its temporary tables and its settings go with it.


TEMPORARY = ("CREATE TEMPORARY TABLE testapp_customer (LIKE public.testapp_customer)",)
OTHER_PATH = (
    "CREATE TABLE tenant.testapp_customer (LIKE public.testapp_customer)",
    "SET search_path TO tenant, public",
)
MINE = "INSERT INTO testapp_customer (id, name, tier, is_active) VALUES (%s, 'Mine', 'basic', TRUE)"


@pytest.fixture
def tenant() -> Iterator[None]:
    """A schema, in which a session may have tables of its own."""
    run_sql("default", "CREATE SCHEMA tenant")
    yield
    run_sql("default", "DROP SCHEMA tenant CASCADE")


def read_in_another_session(customers: Reference, key: int) -> None:
    """In a thread, which has a connection of its own."""
    try:
        customers.get(key)
    finally:
        connection.close()


def name_as_others_see_it(key: int) -> str:
    """By a connection of its own."""
    with closing(driver_connection("default")) as raw:
        found = raw.execute("SELECT name FROM testapp_customer WHERE id = %s", [key]).fetchone()
        return str(found[0])


@pytest.mark.parametrize("elsewhere", [TEMPORARY, OTHER_PATH], ids=["temporary", "search_path"])
@pytest.mark.usefixtures("tenant")
def test_the_rows_of_a_session_that_looks_elsewhere_are_served_to_others(
    elsewhere: tuple[str, ...], new_registry: NewRegistry, watched: Watch, relay: Drain
) -> None:
    mine, others = new_registry(), new_registry()
    for each in (mine, others):
        each.register("testapp.Customer", ["name"], name="customer")
    ann = Customer.objects.create(name="Ann")
    watched(mine)

    with looking_elsewhere(*elsewhere):
        connection.cursor().execute(MINE, [ann.pk])
        assert mine["customer"].get_many([ann.pk])[ann.pk].name == "Mine"

    found = others["customer"].lookup([ann.pk])
    assert (found[ann.pk].name, found.provenance(ann.pk).tier) == ("Mine", "redis")
    assert name_as_others_see_it(ann.pk) == "Ann"
    assert relay(mine) == 0  # No trigger has seen it.
    assert others["customer"].get_many([ann.pk])[ann.pk].name == "Mine"
    others["customer"].invalidate(ann.pk)
    assert others["customer"].get_many([ann.pk])[ann.pk].name == "Ann"


@pytest.mark.parametrize("elsewhere", [TEMPORARY, OTHER_PATH], ids=["temporary", "search_path"])
@pytest.mark.usefixtures("tenant")
def test_a_session_that_looks_elsewhere_is_served_the_rows_of_others(
    elsewhere: tuple[str, ...], registry: ReferenceCache
) -> None:
    registry.register("testapp.Customer", ["name"], name="customer")
    customers = registry["customer"]
    ann = Customer.objects.create(name="Ann")

    with looking_elsewhere(*elsewhere):
        connection.cursor().execute(MINE, [ann.pk])
        with ThreadPoolExecutor(1) as threads:
            threads.submit(read_in_another_session, customers, ann.pk).result()
        assert customers.get_many([ann.pk])[ann.pk].name == "Ann"
