"""MariaDB's transactions: begun by hand they release nothing, and none of them ever fills."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import redis
from django.db import connections, transaction
from pymysql.constants import CLIENT

from refcache import ReferenceCache
from refcache.reference import Reference
from refcache.sql.sessions import is_in_transaction
from tests.integration.conftest import NewRegistry
from tests.integration.odd_writes import execute, refer, shown
from tests.integration.watching import in_thread, state
from tests.testapp.models import Customer

# Django makes no other database before `default`: alone, this module would get none.
pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "mariadb"])

ALIAS = "mariadb"
UPDATE = "UPDATE testapp_customer SET name = 'Anna'"

Look = Callable[[], str]


class WrongError(Exception):
    """What a block raises to be rolled back."""


@pytest.fixture
def customers(registry: ReferenceCache) -> Reference:
    return refer(registry, Customer, ALIAS)


@pytest.fixture
def ann(customers: Reference) -> Iterator[Customer]:
    """A customer whose entry is warm; the session ends with the test."""
    ann = Customer.objects.using(ALIAS).create(name="Ann")
    assert shown(customers, ann.pk) == "Ann"
    yield ann
    connections[ALIAS].close()


@pytest.fixture
def look(client: redis.Redis, new_registry: NewRegistry, ann: Customer) -> Look:
    pk = ann.pk
    return lambda: state(client, new_registry.prefix, f"customer:{pk}")


BEGINNINGS = [
    ["BEGIN"],
    ["BEGIN WORK"],
    ["START TRANSACTION"],
    ["/* here */ begin"],
    ["BEGIN", "SAVEPOINT a", "ROLLBACK TO SAVEPOINT a"],
    ["BEGIN", "SAVEPOINT a", "ROLLBACK TO a"],
    ["BEGIN", "SAVEPOINT a", "ROLLBACK WORK TO a"],
    ["BEGIN", "SAVEPOINT a", "RELEASE SAVEPOINT a"],
    ["BEGIN", "COMMIT AND CHAIN"],
    ["BEGIN", "ROLLBACK WORK AND CHAIN"],
    ["SET autocommit=0"],
    ["SET autocommit=0", "COMMIT"],
    ["SET autocommit=0", "ROLLBACK"],
    ["SET @@session.autocommit = off"],
    ["SET SESSION autocommit = FALSE"],
    ["SET @x = 1, autocommit = 0, @autocommit = 1"],
    ["SET @autocommit := 1, @@autocommit := 0"],
]


@pytest.mark.parametrize("statements", BEGINNINGS, ids="; ".join)
def test_a_transaction_begun_by_hand_stores_and_releases_nothing_before_its_commit(
    customers: Reference, ann: Customer, look: Look, statements: list[str]
) -> None:
    execute(ALIAS, *statements)

    execute(ALIAS, f"{UPDATE} WHERE id = %s", params=[ann.pk])
    assert look() == "marker"
    assert shown(customers, ann.pk) == "Anna"
    assert in_thread(lambda: shown(customers, ann.pk)) == "Ann"
    assert look() == "marker"

    execute(ALIAS, "COMMIT")
    assert in_thread(lambda: shown(customers, ann.pk)) == "Anna"


ENDS = [
    ["BEGIN", "COMMIT"],
    ["BEGIN", "SAVEPOINT a", "ROLLBACK TO a", "ROLLBACK"],
    ["BEGIN", "COMMIT AND CHAIN", "COMMIT AND NO CHAIN"],
    ["SET autocommit=0", "SET autocommit=1"],
    ["SET autocommit=0", "SET @@autocommit := ON"],
    ["XA START 'a'", "XA END 'a'", "XA ROLLBACK 'a'"],
    ["SET @autocommit = 0"],
]


@pytest.mark.parametrize("statements", ENDS, ids="; ".join)
def test_a_transaction_that_is_over_is_known_to_be(ann: Customer, statements: list[str]) -> None:
    execute(ALIAS, *statements)

    assert not is_in_transaction(ALIAS), ann


def test_a_transaction_of_djangos_ends_one_that_was_begun_by_hand(ann: Customer) -> None:
    execute(ALIAS, "BEGIN")

    with transaction.atomic(using=ALIAS):
        Customer.objects.using(ALIAS).update(name="Anna")

    assert not is_in_transaction(ALIAS), ann


@pytest.fixture
def several(ann: Customer) -> Iterator[Customer]:
    """Statements may be several, in one text."""
    connection = connections[ALIAS]
    connection.close()
    before = connection.settings_dict
    flags = CLIENT.FOUND_ROWS | CLIENT.MULTI_STATEMENTS
    options = {**before["OPTIONS"], "client_flag": flags}
    connection.settings_dict = {**before, "OPTIONS": options}
    yield ann
    connection.close()
    connection.settings_dict = before


@pytest.mark.parametrize("beginning", ["BEGIN", "SET autocommit = 0", "SELECT 1; BEGIN"])
def test_a_transaction_begun_among_several_statements_releases_nothing(
    customers: Reference, several: Customer, beginning: str
) -> None:
    with connections[ALIAS].cursor() as cursor:
        cursor.execute(f"{beginning}; {UPDATE}")
        while cursor.nextset():
            pass
    assert in_thread(lambda: shown(customers, several.pk)) == "Ann"

    execute(ALIAS, "COMMIT")

    assert in_thread(lambda: shown(customers, several.pk)) == "Anna"


# What no statement of Django's has told


@pytest.fixture
def routines() -> Iterator[None]:
    """Routines of the database that write."""
    execute(
        ALIAS,
        f"CREATE FUNCTION renaming() RETURNS integer BEGIN {UPDATE}; RETURN 1; END",
        f"CREATE PROCEDURE rename_all() {UPDATE}",
    )
    yield
    execute(ALIAS, "DROP FUNCTION renaming", "DROP PROCEDURE rename_all")


def select(cursor: Any) -> None:
    cursor.execute("SELECT renaming()")


def call(cursor: Any) -> None:
    cursor.callproc("rename_all", [])


def use_the_driver(_: Any) -> None:
    connections[ALIAS].connection.cursor().execute(UPDATE)


@pytest.mark.usefixtures("routines")
@pytest.mark.parametrize("write", [select, call, use_the_driver])
def test_values_that_are_rolled_back_are_never_stored(
    customers: Reference, ann: Customer, look: Look, write: Callable[[Any], None]
) -> None:
    customers.invalidate(ann.pk)
    with suppress(WrongError), transaction.atomic(using=ALIAS):
        with connections[ALIAS].cursor() as cursor:
            write(cursor)
        assert shown(customers, ann.pk) == "Anna"
        assert look() != "value"
        raise WrongError

    assert shown(customers, ann.pk) == "Ann"


@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ"])
def test_a_transaction_fills_nothing(
    customers: Reference, ann: Customer, look: Look, level: str
) -> None:
    customers.invalidate(ann.pk)
    execute(ALIAS, f"SET SESSION TRANSACTION ISOLATION LEVEL {level}")

    with transaction.atomic(using=ALIAS):
        assert shown(customers, ann.pk) == "Ann"

    assert look() == "nothing"
