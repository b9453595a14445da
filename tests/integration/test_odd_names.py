"""Tables, columns, keys and databases that have several names: a write by any of them is seen."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper

from refcache import ReferenceCache
from refcache.reference import Reference
from tests.integration.odd_writes import execute, on, on_each, plain, precise, refer, shown
from tests.testapp.models import Badge, Customer, Dotted, Odd

Bulk = Callable[[type[models.Model], str], Any]


class Elsewhere(models.Model):
    """Lies in another database of the same server."""

    name = models.CharField(max_length=50)

    class Meta:
        app_label = "testapp"
        managed = False
        db_table = "elsewhere`.`Some Rows"


class Spelt(models.Model):
    """Has a key that the database finds by several spellings, of which Django does not know."""

    code = models.CharField(max_length=50, primary_key=True)
    name = models.CharField(max_length=50)

    class Meta:
        app_label = "testapp"
        managed = False


@pytest.fixture
def customers(registry: ReferenceCache, alias: str) -> Reference:
    return refer(registry, Customer, alias)


@pytest.fixture
def ann(customers: Reference, alias: str) -> Customer:
    """A customer whose entry is warm."""
    ann = Customer.objects.using(alias).create(name="Ann")
    assert shown(customers, ann.pk) == "Ann"
    return ann


# Names


@on("mariadb", "sqlite")
@pytest.mark.parametrize("table", ["testapp_customer", "TestApp_Customer", "`TESTAPP_customer`"])
@pytest.mark.parametrize("column", ["Name", "`Name`", "testapp_customer.NAME", '"NAME"'])
@pytest.mark.parametrize("key", ["id", "ID", "`Id`"])
def test_names_in_another_case_are_ours(
    customers: Reference, ann: Customer, alias: str, table: str, column: str, key: str
) -> None:
    if alias == "mariadb":
        table = table.lower()  # On Linux it looks at the case of a table's name.
        column = column.replace('"', "`")
    elif "." in column:
        column = "NAME"  # SQLite assigns to bare names only.

    sql = f"UPDATE {table} SET {column} = %s WHERE {key} = %s"  # noqa: S608 - ours
    execute(alias, sql, params=["Anna", ann.pk])

    assert shown(customers, ann.pk) == "Anna"


@on_each
@pytest.mark.parametrize("is_quoted", [False, True])
def test_columns_that_are_not_in_lower_case_are_ours(
    registry: ReferenceCache, alias: str, *, is_quoted: bool
) -> None:
    badges = refer(registry, Badge, alias)
    row = Badge.objects.using(alias).create(name="Ann")
    assert shown(badges, row.pk) == "Ann"
    names = ["HolderName", "Id"]
    if is_quoted or alias == "default":  # PostgreSQL takes a bare name for one in lower case.
        names = list(map(connections[alias].ops.quote_name, names))

    sql = "UPDATE testapp_badge SET {} = %s WHERE {} = %s".format(*names)  # noqa: S608 - ours
    execute(alias, sql, params=["Anna", row.pk])

    assert shown(badges, row.pk) == "Anna"


@on_each
@pytest.mark.parametrize("model", [Dotted, Odd])
@pytest.mark.parametrize("rows", [plain, precise])
def test_names_that_need_quotes_are_ours(
    registry: ReferenceCache, alias: str, model: Any, rows: Bulk
) -> None:
    odd = refer(registry, model, alias)
    row = model.objects.using(alias).create(name="Ann")
    assert shown(odd, row.pk) == "Ann"

    rows(model, alias).filter(pk=row.pk).update(name="Bea")
    assert shown(odd, row.pk) == "Bea"
    rows(model, alias).filter(name="Bea").update(name="Cyd")
    assert shown(odd, row.pk) == "Cyd"
    rows(model, alias).filter(name="Cyd").delete()
    assert shown(odd, row.pk) is None


@on("mariadb")
def test_a_table_of_another_database_is_ours_where_the_model_says_so(
    registry: ReferenceCache, alias: str
) -> None:
    execute(alias, "CREATE DATABASE elsewhere")
    try:
        execute(
            alias,
            "CREATE TABLE elsewhere.`Some Rows` "
            "(id bigint AUTO_INCREMENT PRIMARY KEY, name varchar(50))",
        )
        rows = refer(registry, Elsewhere, alias)
        row = plain(Elsewhere, alias).create(name="Ann")
        assert shown(rows, row.pk) == "Ann"

        plain(Elsewhere, alias).filter(pk=row.pk).update(name="Anna")

        assert shown(rows, row.pk) == "Anna"
    finally:
        execute(alias, "DROP DATABASE elsewhere")


# Keys that the database spells in another way

SPELLINGS = {
    "citext": ("default", "citext", "Ann", "aNN"),
    "char": ("default", "char(5)", "Ann  ", "Ann"),
    "nocase": ("sqlite", "varchar(50) COLLATE NOCASE", "Ann", "aNN"),
    "mariadb": ("mariadb", "varchar(50) COLLATE utf8mb4_general_ci", "Ann", "ÂNN"),
}


@pytest.mark.parametrize(
    ("alias", "kind", "key", "spelling"),
    [
        pytest.param(
            *case, id=name, marks=pytest.mark.django_db(transaction=True, databases=[case[0]])
        )
        for name, case in SPELLINGS.items()
    ],
)
@pytest.mark.parametrize("rows", [plain, precise])
def test_an_update_by_another_spelling_of_the_key_is_seen(
    registry: ReferenceCache, alias: str, kind: str, key: str, spelling: str, rows: Bulk
) -> None:
    if kind == "citext":
        execute(alias, "CREATE EXTENSION IF NOT EXISTS citext")
    execute(alias, f"CREATE TABLE testapp_spelt (code {kind} PRIMARY KEY, name varchar(50))")
    try:
        spelt = refer(registry, Spelt, alias)
        execute(alias, "INSERT INTO testapp_spelt VALUES ('Ann', 'old')")
        assert shown(spelt, key) == "old"

        assert rows(Spelt, alias).filter(pk=spelling).update(name="new") == 1
        assert shown(spelt, key) == "new"
        rows(Spelt, alias).filter(pk=spelling).delete()
        assert shown(spelt, key) is None
    finally:
        execute(alias, "DROP TABLE testapp_spelt")


# The same database by another name


@pytest.fixture
def other(alias: str) -> Iterator[BaseDatabaseWrapper]:
    """Another alias, by whose settings one does not see that it reaches the same rows."""
    connection = connections[alias]
    settings = dict(connection.settings_dict)
    if alias == "mariadb":
        settings["NAME"] = "information_schema"
    else:
        settings["NAME"] = f"file:{settings['NAME']}?mode=rw"
        settings["OPTIONS"] = {**settings["OPTIONS"], "uri": True}
    name = f"other-{uuid.uuid4().hex}"
    other = type(connection)(settings, name)
    connections[name] = other
    yield other
    other.close()
    del connections[name]


@on("mariadb", "sqlite")
def test_a_write_through_another_alias_of_the_database_is_seen(
    customers: Reference, ann: Customer, alias: str, other: BaseDatabaseWrapper
) -> None:
    table = "testapp_customer"
    if alias == "mariadb":
        table = f"{connections[alias].settings_dict['NAME']}.{table}"

    sql = f"UPDATE {table} SET name = %s WHERE id = %s"  # noqa: S608 - ours
    with other.cursor() as cursor:
        cursor.execute(sql, ["Anna", ann.pk])

    assert shown(customers, ann.pk) == "Anna"
