"""What saves and bulk inserts announce, and what their statements need not be marked for."""

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, TypeVar
from weakref import ref

import pytest
from django.db.models import Model
from django.db.models.signals import pre_save

from refcache.core.keys import family
from refcache.core.writes import Touched
from refcache.sql.statements import analyse
from refcache.writing.announced import DEEPEST, Announced, Save
from tests.testapp.models import Currency

TABLE = "testapp_currency"
FAMILY = family(b"", "currency")
INSERT = f'INSERT INTO "{TABLE}" ("code", "name") VALUES (%s, %s)'  # noqa: S608 - nobody executes it
LONG = 1000.0  # seconds
UPDATE = analyse(f'UPDATE "{TABLE}" SET "name" = %s WHERE "code" = %s')  # noqa: S608 - nobody executes it
EURO = [Touched(FAMILY, (b"EUR",))]

T = TypeVar("T")


def save_of(row: Currency, token: bytes | None = b"t", tables: Iterable[str] = (TABLE,)) -> Save:
    return Save(ref(row), "default", frozenset(tables), token, [Touched(FAMILY, (b"EUR",))])


class StopError(Exception):
    """Ends a save before it reaches the database."""


def while_saving(row: Model | None, ask: Callable[[], T]) -> T:
    """What *ask* says where the statements of the row's save are made."""
    if row is None:
        return ask()
    answers = []

    def answer(instance: Model, **_: Any) -> None:
        if instance is row:
            answers.append(ask())
            raise StopError

    pre_save.connect(answer, sender=type(row))
    try:
        with suppress(StopError):
            row.save_base(using="default")
    finally:
        pre_save.disconnect(answer, sender=type(row))
    return answers[0]


def has_insert(
    announced: Announced,
    sql: str = INSERT,
    params: Any = ("EUR", "Euro"),
    alias: str = "default",
) -> bool:
    """Whether the insert is announced, by the one who saves the latest instance."""
    row = announced._saves[-1].instance() if announced._saves else None
    return while_saving(row, lambda: announced.has_insert(alias, analyse(sql), params))


def unmarked(
    announced: Announced, touched: list[Touched], longest: float = LONG, alias: str = "default"
) -> Any:
    row = announced._saves[-1].instance() if announced._saves else None
    return while_saving(row, lambda: announced.unmarked(alias, UPDATE, touched, longest))


@pytest.fixture
def euro() -> Currency:
    return Currency(code="EUR", name="Euro")


@pytest.fixture
def announced(euro: Currency) -> Announced:
    """Told of the save of one row."""
    announced = Announced()
    announced.save(save_of(euro))
    return announced


def test_the_insert_of_a_save_is_announced_once(announced: Announced, euro: Currency) -> None:
    assert euro.code == "EUR"
    assert has_insert(announced)
    assert not has_insert(announced)


@pytest.mark.parametrize(
    ("sql", "params", "alias"),
    [
        (INSERT, ("USD", "Euro"), "default"),
        (INSERT, ("EUR", "Mark"), "default"),
        (INSERT, ("EUR", "Euro"), "events"),
        (INSERT + " ON CONFLICT DO NOTHING", ("EUR", "Euro"), "default"),
        (INSERT + ", (%s, %s)", ("EUR", "Euro", "USD", "Dollar"), "default"),
        (f'INSERT INTO "{TABLE}" ("code", "rate") VALUES (%s, %s)', ("EUR", 1), "default"),  # noqa: S608 - nobody executes it
        (INSERT.replace(TABLE, "testapp_country"), ("EUR", "Euro"), "default"),
        (f'UPDATE "{TABLE}" SET "code" = %s, "name" = %s', ("EUR", "Euro"), "default"),  # noqa: S608 - nobody executes it
    ],
    ids=["key", "value", "alias", "upsert", "rows", "column", "table", "update"],
)
@pytest.mark.usefixtures("euro")
def test_another_statement_is_not(
    announced: Announced, sql: str, params: tuple[Any, ...], alias: str
) -> None:
    assert not has_insert(announced, sql, params, alias)
    assert has_insert(announced)


def test_what_is_computed_by_the_database_is_not_compared(euro: Currency) -> None:
    announced = Announced()
    euro.name = object()  # type: ignore[assignment]  # as an expression is
    announced.save(save_of(euro))

    assert has_insert(announced, INSERT.replace("(%s, %s)", "(%s, UPPER(%s))"))


def test_a_save_that_is_done_announces_nothing_more(announced: Announced, euro: Currency) -> None:
    found = announced.saved(euro)

    assert found is not None
    assert found.token == b"t"
    assert not has_insert(announced)
    assert announced.saved(euro) is None


def test_a_save_that_is_done_forgets_those_within_it_that_failed(
    announced: Announced, euro: Currency
) -> None:
    failed = Currency(code="USD", name="Dollar")
    announced.save(save_of(failed))

    announced.saved(euro)

    assert announced.saved(failed) is None
    assert not has_insert(announced, params=("USD", "Dollar"))


def test_a_save_that_failed_is_forgotten_with_its_instance(announced: Announced) -> None:
    announced.save(save_of(Currency(code="USD", name="Dollar")))

    assert not has_insert(announced, params=("USD", "Dollar"))


def test_only_so_many_failed_saves_are_remembered() -> None:
    announced = Announced()
    rows = [Currency(code=str(n), name="") for n in range(DEEPEST + 1)]
    for row in rows:
        announced.save(save_of(row))

    assert announced.saved(rows[0]) is None
    assert announced.saved(rows[1]) is not None


def test_bulk_inserts_are_announced_while_they_last() -> None:
    announced = Announced()
    several = INSERT + ", (%s, %s) ON CONFLICT DO NOTHING"
    values = ("EUR", "Euro", "USD", "Dollar")

    with announced.bulk("default", {TABLE}):
        assert has_insert(announced, several, values)
        assert has_insert(announced, several, values)
        assert not has_insert(announced, several, values, "events")
        assert not has_insert(announced, f"DELETE FROM {TABLE}", ())  # noqa: S608 - nobody executes it

    assert not has_insert(announced, several, values)


def test_a_bulk_insert_that_fails_is_over() -> None:
    announced = Announced()
    with pytest.raises(ZeroDivisionError), announced.bulk("default", {TABLE}):
        raise ZeroDivisionError

    assert not has_insert(announced)


def test_what_a_save_has_marked_is_not_marked_again(announced: Announced, euro: Currency) -> None:
    assert euro.code == "EUR"
    assert unmarked(announced, EURO) == []


def test_a_save_updates_a_table_once(announced: Announced, euro: Currency) -> None:
    assert euro.code == "EUR"
    unmarked(announced, EURO)

    assert unmarked(announced, EURO) == EURO


def test_what_a_save_has_not_marked_is_not_its_own(announced: Announced, euro: Currency) -> None:
    others = [Touched(FAMILY, (b"EUR", b"USD"))]

    assert unmarked(announced, others) == others
    assert unmarked(announced, EURO, alias="events") == EURO
    assert unmarked(announced, EURO, longest=0.0) == EURO  # It was too long ago.
    announced.saved(euro)
    assert unmarked(announced, EURO) == EURO


def test_what_a_transactions_end_releases_is_no_saves(euro: Currency) -> None:
    announced = Announced()
    announced.save(save_of(euro, token=None))

    assert unmarked(announced, EURO) == EURO


def test_a_save_that_was_refused_makes_no_statement(announced: Announced, euro: Currency) -> None:
    assert euro.code == "EUR"
    assert not announced.has_insert("default", analyse(INSERT), ("EUR", "Euro"))
    assert announced.unmarked("default", UPDATE, EURO, LONG) == EURO


def test_another_threads_saves_announce_nothing(announced: Announced, euro: Currency) -> None:
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.append(has_insert(announced)))
    thread.start()
    thread.join()

    assert found == [False]
    assert euro.code == "EUR"
    assert has_insert(announced)
