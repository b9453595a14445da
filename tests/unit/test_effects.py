"""What a statement touches, told from its parameters: rows, all of a reference, or nothing."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from django.core.signals import setting_changed
from django.db import models
from django.db.backends.signals import connection_created
from django.db.models import deletion
from django.db.models.signals import post_delete, post_save, pre_delete, pre_save
from django.test.utils import isolate_apps

from refcache import ReferenceCache
from refcache.connections import Place
from refcache.sql.statements import analyse
from refcache.tiers.memory import MemoryStore
from refcache.writing.bulk import bulk_insert, bulk_write
from refcache.writing.effects import Effects
from refcache.writing.tables import _cascades, tables_of

SIGNALS = (
    *(pre_save, post_save, pre_delete, post_delete, bulk_write, bulk_insert),
    *(connection_created, setting_changed),
)
NOTHING: dict[str, Any] = {}
WHOLE = "whole"


@pytest.fixture
def registry() -> Iterator[ReferenceCache]:
    """One whose signals are disconnected in the end."""
    before = [list(signal.receivers) for signal in SIGNALS]
    yield ReferenceCache(Place(MemoryStore(), b"unit:"))
    for signal, receivers in zip(SIGNALS, before, strict=True):
        with signal.lock:
            signal.receivers = receivers
            signal.sender_receivers_cache.clear()


@pytest.fixture(params=["postgresql", "sqlite", "mysql"])
def vendor(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Touch:
    """Says what a statement touches: per reference its entries' texts, or "whole"."""

    def __init__(self, registry: ReferenceCache) -> None:
        self._registry = registry

    def register(self, model: str, fields: list[str], **rest: Any) -> None:
        self._registry.register(f"testapp.{model}", fields, name=model.lower(), **rest)

    def __call__(self, sql: str, *params: Any, vendor: str = "postgresql") -> dict[str, Any]:
        effects = Effects(tables_of(self._registry._declared.plans.watches), vendor)
        found = effects.of(analyse(sql), sql, params)
        return {
            each.family.reference: WHOLE if each.whole else sorted(map(bytes.decode, each.texts))
            for each in found
        }


@pytest.fixture
def touch(registry: ReferenceCache) -> Touch:
    touch = Touch(registry)
    touch.register("Customer", ["name", "company_id"], key="email")
    return touch


RENAME = 'UPDATE "testapp_customer" SET "name" = %s WHERE '


@pytest.mark.parametrize(
    ("condition", "params", "expected"),
    [
        ('"testapp_customer"."id" = %s', [7], ["7"]),
        ("id IN (%s, %s)", [7, 8], ["7", "8"]),
        ("id IN (%s) AND tier = %s", [7, "gold"], ["7"]),
        ("tier = %s", ["gold"], WHOLE),
        ("email = %s", ["a@x.org"], WHOLE),
        ("id = %s", ["7"], WHOLE),  # The database may compare it as it likes.
        ("id = %s", [7.0], WHOLE),
        ("id = %s", [True], WHOLE),
        ("id = %s", [None], WHOLE),
        ("id > %s", [7], WHOLE),
        ("id = 7", [], WHOLE),
    ],
)
def test_rows_are_those_that_the_condition_names(
    touch: Touch, vendor: str, condition: str, params: list[Any], expected: Any
) -> None:
    assert touch(RENAME + condition, "Bea", *params, vendor=vendor) == {"customer": expected}
    delete = f'DELETE FROM "testapp_customer" WHERE {condition}'  # noqa: S608 - nobody executes it
    assert touch(delete, *params, vendor=vendor) == {"customer": expected}


@pytest.mark.parametrize(
    ("sql", "params"),
    [
        ('UPDATE "testapp_customer" SET "tier" = %s', ["gold"]),
        ('DELETE FROM "testapp_customer" WHERE 0', []),
        ('INSERT INTO "elsewhere" ("a") VALUES (%s)', [1]),
        ("TRUNCATE testapp_customers", []),
        ("CALL refresh()", []),
    ],
)
def test_nothing_is_touched_by(touch: Touch, sql: str, params: list[Any]) -> None:
    assert touch(sql, *params) == NOTHING


@pytest.mark.parametrize(
    "sql",
    [
        "TRUNCATE testapp_customer",
        'TRUNCATE "testapp_company", "TESTAPP_CUSTOMER"',
        "TRUNCATE testapp_company CASCADE",
        "drop table x\n cascade",
        "WITH d AS (DELETE FROM testapp_customer RETURNING id) SELECT id FROM d",
        "UPDATE testapp_customer c SET name = 'Bea'",
        "COPY public.testapp_customer FROM STDIN",
        "UPDATE Testapp_Customer SET name = 'Bea'",
        'UPDATE "TESTAPP_CUSTOMER" SET name = 1',
        'UPDATE "testapp_customer" SET "name" = 1',
        "UPDATE testapp_customer SET name = %s WHERE id = %s",  # without its parameters
    ],
)
def test_all_is_touched_by(touch: Touch, sql: str) -> None:
    assert touch(sql) == {"customer": WHOLE}


@pytest.mark.parametrize(
    ("vendor", "expected"), [("postgresql", {}), ("mysql", WHOLE), ("sqlite", WHOLE)]
)
def test_only_postgresql_looks_at_the_case_of_columns(
    touch: Touch, vendor: str, expected: Any
) -> None:
    found = touch('UPDATE "testapp_customer" SET "NAME" = 1', vendor=vendor)

    assert found == (expected and {"customer": expected})


def test_parameters_that_are_not_a_sequence_say_nothing(registry: ReferenceCache) -> None:
    registry.register("testapp.Customer", ["name"], name="customer")
    effects = Effects(tables_of(registry._declared.plans.watches), "postgresql")
    sql = RENAME + "id = %s"

    (found,) = effects.of(analyse(sql), sql, None)

    assert found.whole


def test_a_key_that_is_assigned_is_touched_where_it_is_to_be(touch: Touch) -> None:
    readdress = 'UPDATE "testapp_customer" SET "email" = %s WHERE "id" = %s'

    assert touch(readdress, "a@x.org", 7) == {"customer": ["7", "@email=a%40x.org"]}
    assert touch(readdress, None, 7) == {"customer": ["7"]}
    computed = 'UPDATE "testapp_customer" SET "email" = LOWER(%s) WHERE "id" = %s'
    assert touch(computed, "a@x.org", 7) == {"customer": WHOLE}


def test_a_primary_key_that_moves_is_touched_at_both_places(touch: Touch) -> None:
    assert touch('UPDATE "testapp_customer" SET "id" = %s WHERE "id" = %s', 8, 7) == {
        "customer": ["7", "8"]
    }
    several = 'UPDATE "testapp_customer" SET "id" = %s WHERE "id" IN (%s, %s)'
    assert touch(several, 8, 7, 9) == {"customer": WHOLE}
    for moved in ("id + %s", "CASE WHEN %s THEN 8 END"):
        sql = f'UPDATE "testapp_customer" SET "id" = {moved} WHERE "id" = %s'  # noqa: S608 - nobody executes it
        assert touch(sql, 8, 7) == {"customer": WHOLE}


def test_an_insert_touches_the_keys_that_may_be_remembered_as_absent(touch: Touch) -> None:
    insert = 'INSERT INTO "testapp_customer" ("id", "email") VALUES (%s, %s)'

    assert touch(insert, 7, "a@x.org") == {"customer": ["7", "@email=a%40x.org"]}
    assert touch(insert + ", (%s, %s)", 7, None, 8, None) == {"customer": ["7", "8"]}
    for unknown in (
        insert + " ON CONFLICT DO NOTHING",
        insert.replace("INSERT", "INSERT OR IGNORE"),
        'INSERT INTO "testapp_customer" ("email", "name") VALUES (%s, %s)',
        'INSERT INTO "testapp_customer" ("id", "name") VALUES (%s, %s)',
    ):
        assert touch(unknown, 7, "a@x.org") == {"customer": WHOLE}


@pytest.mark.parametrize(("vendor_", "expected"), [("mysql", WHOLE), ("sqlite", ["EUR"])])
def test_a_text_is_a_key_where_no_other_equals_it(
    touch: Touch, vendor_: str, expected: Any
) -> None:
    touch.register("Currency", ["name"])
    sql = "DELETE FROM testapp_currency WHERE code = %s"

    assert touch(sql, "EUR", vendor=vendor_) == {"currency": expected}


def test_a_uuid_is_one_key_however_it_is_spelt(touch: Touch, vendor: str) -> None:
    touch.register("Device", ["serial"])
    key = UUID(int=7)
    for spelt in (key, str(key), key.hex):
        found = touch("DELETE FROM testapp_device WHERE id = %s", spelt, vendor=vendor)
        assert found == {"device": [str(key)]}


@pytest.mark.parametrize(
    ("condition", "params"),
    [
        ("(hall, number) IN ((%s, %s))", ("east", 1)),
        ("(number, hall) = (%s, %s)", (1, "east")),
        ("hall = %s AND number = %s", ("east", 1)),
        ("label = %s AND hall = %s AND number = %s", ("A", "east", 1)),
        ("((hall = %s AND number = %s) OR (hall = %s AND number = %s))", ("east", 1) * 2),
    ],
)
def test_a_composite_key_is_known_where_all_of_it_is_named_together(
    touch: Touch, condition: str, params: tuple[Any, ...]
) -> None:
    touch.register("Shelf", ["label"])

    found = touch(f"DELETE FROM testapp_shelf WHERE {condition}", *params)  # noqa: S608 - nobody executes it

    assert found == {"shelf": ["east,1"]}


def test_a_parents_statement_touches_the_childs_rows(touch: Touch) -> None:
    touch.register("Cafe", ["name", "seats"])

    assert touch("DELETE FROM testapp_place WHERE id = %s", 7) == {"cafe": ["7"]}
    assert touch("DELETE FROM testapp_cafe WHERE place_ptr_id = %s", 7) == {"cafe": ["7"]}


def test_who_does_not_watch_is_not_touched(registry: ReferenceCache) -> None:
    touch = Touch(registry)
    touch.register("Customer", ["name"], watch_sql=False)

    assert touch("TRUNCATE testapp_customer") == NOTHING


@pytest.mark.skipif(not hasattr(deletion, "DatabaseOnDelete"), reason="needs Django 6.1")
@isolate_apps("tests.testapp")
def test_tables_that_the_database_deletes_from_are_known() -> None:
    class Top(models.Model):
        class Meta:
            app_label = "testapp"

    class Middle(models.Model):
        top = models.ForeignKey(Top, models.DB_CASCADE)

        class Meta:
            app_label = "testapp"

    class Bottom(models.Model):
        middle = models.ForeignKey(Middle, models.DB_SET_NULL, null=True)
        other = models.ForeignKey("testapp.Middle", models.CASCADE, related_name="+")

        class Meta:
            app_label = "testapp"

    assert set(_cascades(Bottom, set())) == {"testapp_middle", "testapp_top"}
    assert set(_cascades(Top, set())) == set()
