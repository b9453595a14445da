"""What is measured of writes: the look at a statement, and a save with its marks."""

from typing import Any

from django.db import connection

from benchmarks.models import Customer, Stranger
from benchmarks.timing import Case
from refcache.sql.sessions import session_of

MANY = 1000  # looks in a row; one alone is shorter than the clock can tell

# As Django's compiler writes it.
SELECT = (
    'SELECT "shop_customer"."id", "shop_customer"."name", "shop_customer"."tier", '
    '"shop_customer"."company_id" FROM "shop_customer" WHERE "shop_customer"."id" = %s LIMIT 21'
)


def look_cases() -> list[Case]:
    """`MANY` SELECTs through Django's cursor that reach no database, without and with the look."""
    return [
        Case(f"{MANY} SELECTs, nobody looks", _selects, _take_off),
        Case(f"{MANY} SELECTs, refcache looks", _selects, _put_on),
    ]


def save_cases() -> list[Case]:
    """A row saved, without and with marks."""
    row, stranger = Customer(pk=2, name="Ann"), Stranger(pk=2, name="Ann")
    _put_on()
    with connection.schema_editor() as editor:
        editor.create_model(Stranger)
    for each in (row, stranger):
        each.save()
    return [
        Case("save() of what no reference reads", stranger.save),
        Case("save(), marked and released", row.save),
    ]


def clear() -> None:
    with connection.schema_editor() as editor:
        editor.delete_model(Stranger)


def _selects() -> None:
    with connection.cursor() as cursor:
        for _ in range(MANY):
            cursor._execute_with_wrappers(SELECT, (1,), many=False, executor=_nothing)  # noqa: SLF001 - all but the database


def _nothing(*_: Any) -> None:
    pass


_taken: list[Any] = []


def _take_off() -> None:
    connection.ensure_connection()
    if (session := session_of(connection)) is not None:
        connection.execute_wrappers.remove(session)
        _taken[:] = [session]


def _put_on() -> None:
    if session_of(connection) is None:
        connection.execute_wrappers[:0] = _taken
