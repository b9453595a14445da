"""Statements that write in ways of their own are seen by the next read."""

import pytest

from refcache import ReferenceCache
from refcache.reference import Reference
from tests.integration.every_write.models import HAS_DATABASE_CASCADE, Owner, Pet
from tests.integration.odd_writes import execute, on, on_each, refer, shown
from tests.testapp.models import Company, Customer

ANN = "UPDATE testapp_customer SET name = 'Anna'"


@pytest.fixture
def customers(registry: ReferenceCache, alias: str) -> Reference:
    return refer(registry, Customer, alias)


@pytest.fixture
def ann(customers: Reference, alias: str) -> Customer:
    """A customer whose entry is warm."""
    ann = Customer.objects.using(alias).create(name="Ann")
    assert shown(customers, ann.pk) == "Ann"
    return ann


MARIADB = [
    f"ANALYZE {ANN}",
    f"ANALYZE FORMAT=JSON {ANN}",
    f"SET STATEMENT max_statement_time=10 FOR {ANN}",
    f"/*! {ANN} */",
    f"/*M! {ANN} */",
    "/*! UPDATE testapp_customer SET name = */ (SELECT 'Anna')",
    f"# SELECT\n{ANN}",
    f"-- x\n/* SELECT */ /*! {ANN} */",
    "UPDATE testapp_company, testapp_customer SET testapp_customer.name = 'Anna'",
    "UPDATE testapp_customer, testapp_company SET testapp_customer.name = 'Anna'",
    "UPDATE testapp_company JOIN testapp_customer SET testapp_customer.name = 'Anna'",
    "UPDATE rows.testapp_customer SET rows.testapp_customer.name = 'Anna'",
    f"{ANN} ORDER BY id LIMIT 1",
    f"BEGIN NOT ATOMIC {ANN}; END",
]
POSTGRESQL = [
    f"/* /* */ SELECT */ {ANN}",
    f"/* /* /* */ */ SELECT */ -- SELECT\n{ANN}",
    f"-- SELECT\r{ANN}",
    r"""UPDATE U&"testapp\005fcustomer" SET name = 'Anna'""",
    r"""UPDATE testapp_customer SET U&"n\0061me" = 'Anna'""",
    "UPDATE ONLY testapp_customer SET name = 'Anna'",
    "UPDATE testapp_customer SET (name, tier) = ('Anna', 'x')",
    "UPDATE testapp_customer SET (name, tier) = ROW ('Anna', 'x')",
    f"EXPLAIN ANALYZE {ANN}",
    f"WITH changed AS ({ANN} RETURNING id) SELECT count(*) FROM changed",  # noqa: S608 - ours
    """MERGE INTO testapp_customer c USING (SELECT 1) x ON true
    WHEN MATCHED THEN UPDATE SET name = 'Anna'""",
]


@pytest.mark.parametrize(
    ("alias", "sql"),
    [
        pytest.param(alias, sql, marks=pytest.mark.django_db(transaction=True, databases=[alias]))
        for alias, statements in [("mariadb", MARIADB), ("default", POSTGRESQL)]
        for sql in statements
    ],
)
def test_what_a_database_takes_for_an_update_is_one(
    customers: Reference, ann: Customer, alias: str, sql: str
) -> None:
    Company.objects.using(alias).create(name="ACME", code="a")

    execute(alias, sql)

    assert Customer.objects.using(alias).get().name == "Anna"
    assert shown(customers, ann.pk) == "Anna"


@on("default")
def test_an_and_within_an_array_names_no_row(customers: Reference, alias: str) -> None:
    rows = [Customer.objects.create(name="Ann") for _ in range(3)]
    assert {shown(customers, row.pk) for row in rows} == {"Ann"}

    execute(
        alias,
        "UPDATE testapp_customer SET name = %s "
        "WHERE ARRAY[true AND id = %s AND true] = ARRAY[false]",
        params=["Anna", rows[0].pk],
    )

    assert [shown(customers, row.pk) for row in rows] == ["Ann", "Anna", "Anna"]


@on("sqlite")
@pytest.mark.parametrize("name", ["rowid", "OID", "_rowid_", '"RowId"'])
def test_a_row_that_is_moved_by_its_row_id_is_found_there(
    customers: Reference, ann: Customer, alias: str, name: str
) -> None:
    assert shown(customers, 1000) is None

    sql = f"UPDATE testapp_customer SET {name} = 1000 WHERE id = %s"  # noqa: S608 - ours
    execute(alias, sql, params=[ann.pk])

    assert (shown(customers, ann.pk), shown(customers, 1000)) == (None, "Ann")


@on("sqlite")
@pytest.mark.skipif(not HAS_DATABASE_CASCADE, reason="DB_CASCADE needs Django 6.1")
@pytest.mark.parametrize("verb", ["INSERT OR REPLACE", "REPLACE"])
def test_the_children_of_a_parent_that_is_replaced_are_gone(
    registry: ReferenceCache, alias: str, verb: str
) -> None:
    refer(registry, Owner, alias)
    pets = refer(registry, Pet, alias)
    owner = Owner.objects.using(alias).create(name="Ann")
    pet = Pet.objects.using(alias).create(name="Rex", owner_id=owner.pk)
    assert shown(pets, pet.pk) == "Rex"

    sql = f"{verb} INTO testapp_owner (id, name) VALUES (%s, %s)"
    execute(alias, sql, params=[owner.pk, "Anna"])

    assert shown(pets, pet.pk) is None


@on_each
@pytest.mark.parametrize("value", ["100%%", "%%s"])
def test_a_percent_sign_that_stands_for_itself_is_no_parameter(
    customers: Reference, ann: Customer, alias: str, value: str
) -> None:
    sql = f"UPDATE testapp_customer SET name = '{value}' WHERE id = %s"  # noqa: S608 - ours
    execute(alias, sql, params=[ann.pk])

    assert shown(customers, ann.pk) == value.replace("%%", "%")
