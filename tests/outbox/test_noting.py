"""What triggers note, on each database: the rows that a statement changes, and no others."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections, transaction

from refcache import ReferenceCache
from refcache.outbox.models import Change
from refcache.outbox.triggers import dialect_of
from tests.outbox.conftest import run_sql
from tests.testapp.models import Customer

ALIASES = ["default", "sqlite", "mariadb"]
pytestmark = pytest.mark.django_db(transaction=True, databases=ALIASES)

Watched = Callable[..., None]
Relay = Callable[..., int]


@pytest.fixture(params=ALIASES)
def alias(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def customers(alias: str, registry: ReferenceCache, watched: Watched) -> ReferenceCache:
    registry.register("testapp.Customer", ["name"], name="customer", using=alias)
    registry.register("testapp.Customer", ["tier"], name="mail", key="email", using=alias)
    watched(registry, alias)
    return registry


def notes(alias: str) -> list[tuple[str, Any]]:
    """What is in the outbox: each change's table, and its rows without doubles, in order."""
    found = Change.objects.using(alias).order_by("pk").values_list("table", "rows")
    return [(table, None if rows is None else distinct(json.loads(rows))) for table, rows in found]


def distinct(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = {tuple(row.items()): row for row in rows}
    return sorted(found.values(), key=lambda row: str(row["id"]))


def insert(alias: str, pk: int, name: str = "Ann", email: str | None = None) -> None:
    mail = "NULL" if email is None else f"'{email}'"
    run_sql(
        alias,
        "INSERT INTO testapp_customer (id, name, tier, email, is_active) "  # noqa: S608 - ours
        f"VALUES ({pk}, '{name}', 'basic', {mail}, TRUE)",
    )


def row(pk: int, email: str | None = None) -> dict[str, Any]:
    return {"id": pk, "email": email}


@pytest.mark.usefixtures("customers")
def test_an_insert_notes_the_new_row(alias: str) -> None:
    insert(alias, 1, email="ann@x.org")

    assert notes(alias) == [("testapp_customer", [row(1, "ann@x.org")])]


@pytest.mark.usefixtures("customers")
def test_a_delete_notes_the_old_row(alias: str) -> None:
    insert(alias, 1, email="ann@x.org")
    Change.objects.using(alias).all().delete()

    run_sql(alias, "DELETE FROM testapp_customer")

    assert notes(alias) == [("testapp_customer", [row(1, "ann@x.org")])]


@pytest.mark.usefixtures("customers")
def test_an_update_notes_keys_from_before_and_after(alias: str) -> None:
    insert(alias, 1, email="ann@x.org")
    Change.objects.using(alias).all().delete()

    run_sql(alias, "UPDATE testapp_customer SET id = 2, email = 'bob@x.org'")

    assert notes(alias) == [("testapp_customer", [row(1, "ann@x.org"), row(2, "bob@x.org")])]


@pytest.mark.usefixtures("customers")
def test_rows_that_stay_as_they_are_are_not_noted(alias: str) -> None:
    insert(alias, 1)
    insert(alias, 2, "Bob")
    Change.objects.using(alias).all().delete()

    run_sql(alias, "UPDATE testapp_customer SET name = 'Ann'", "UPDATE testapp_customer SET id=id")

    assert notes(alias) == [("testapp_customer", [row(2)])]


@pytest.mark.usefixtures("customers")
def test_a_column_that_no_reference_reads_is_noted_as_well(
    alias: str,
) -> None:
    """Newer code may read it; the triggers would not have to be made anew for it."""
    insert(alias, 1)
    Change.objects.using(alias).all().delete()

    run_sql(alias, "UPDATE testapp_customer SET is_active = FALSE")

    assert notes(alias) == [("testapp_customer", [row(1)])]


@pytest.mark.usefixtures("customers")
def test_a_change_of_case_is_a_change(alias: str) -> None:
    """Where a collation ignores the case, comparing with it would not tell."""
    insert(alias, 1)
    Change.objects.using(alias).all().delete()

    run_sql(alias, "UPDATE testapp_customer SET name = 'ANN'")

    assert len(notes(alias)) == 1


@pytest.mark.usefixtures("customers")
def test_what_is_rolled_back_is_not_noted(alias: str) -> None:
    with transaction.atomic(using=alias):
        Customer.objects.using(alias).bulk_create([Customer(pk=1, name="Ann")])
        assert len(notes(alias)) == 1
        transaction.set_rollback(True, using=alias)

    assert notes(alias) == []


@pytest.mark.usefixtures("customers")
def test_changes_are_stamped_by_the_database_clock(alias: str) -> None:
    with connections[alias].cursor() as cursor:
        cursor.execute(f"SELECT {dialect_of(connections[alias]).clock}")
        before = float(cursor.fetchone()[0])
        insert(alias, 1)
        cursor.execute(f"SELECT {dialect_of(connections[alias]).clock}")
        after = float(cursor.fetchone()[0])

    assert before - 0.002 <= Change.objects.using(alias).get().at <= after + 0.002


def test_the_next_read_after_the_relay_has_the_change(
    alias: str, customers: ReferenceCache, relay: Relay
) -> None:
    insert(alias, 1, email="ann@x.org")
    assert relay(customers, alias) == 1
    assert customers["customer"].get_many([1, 2])[1].name == "Ann"
    assert customers["mail"].get("bob@x.org") is None

    run_sql(alias, "UPDATE testapp_customer SET name = 'Bob', email = 'bob@x.org'")
    assert relay(customers, alias) == 1

    bob = customers["customer"].get(1)
    assert bob is not None
    assert bob.name == "Bob"
    assert customers["mail"].get("bob@x.org") is not None
    assert customers["mail"].get("ann@x.org") is None
    assert notes(alias) == []
