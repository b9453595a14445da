"""Rows of any event store: a page costs its one query there, one round trip, and nothing else.

The InfluxDB is an HTTP server that answers as one does: none can be run here, as
docs/event-stores.md says.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import Request, urlopen

import psycopg
import pytest
import redis
from django.db import connections
from psycopg.rows import class_row, dict_row

from refcache import ReferenceCache
from tests.event_stores.influxdb import annotated_csv, answering
from tests.event_stores.models import Reading, UnmanagedReading
from tests.integration.conftest import NewRegistry
from tests.integration.watching import LIMIT, redis_commands, statements
from tests.test_docs import blocks_of
from tests.testapp.models import Customer, OrderEvent
from tools.servers import ROOT

PAGE = 100
PEOPLE = 40
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
SELECT = "SELECT id, customer_id FROM testapp_orderevent ORDER BY id LIMIT 100"


def with_databases(*aliases: str) -> pytest.MarkDecorator:
    return pytest.mark.django_db(transaction=True, databases=["default", *aliases])


@pytest.fixture
def customers(registry: ReferenceCache) -> list[int]:
    """Primary keys, all of them warm."""
    registry.register("testapp.Customer", ["name"], name="customer")
    rows = Customer.objects.bulk_create([Customer(name=f"C{n}") for n in range(PEOPLE)])
    keys = [row.pk for row in rows]
    registry["customer"].get_many(keys)
    return keys


@pytest.fixture
def page(
    registry: ReferenceCache, new_registry: NewRegistry, client: redis.Redis
) -> Callable[[Any], list[str]]:
    """Attaches customers to rows, which may be a queryset; gives their names.

    Asserts one round trip, and no query to the customers' database.
    """

    def attach(rows: Any) -> list[str]:
        with redis_commands(client, new_registry.prefix) as commands, statements() as sent:
            found = registry.attach(rows, customer="customer_id")
        assert (commands, sent) == (["MGET"], [])
        return [(row if isinstance(row, dict) else vars(row))["customer"].name for row in found]

    return attach


def keys_of(customers: list[int]) -> list[int]:
    """The customers of a page, some of them several times."""
    return [customers[number % PEOPLE] for number in range(PAGE)]


EXPECTED = [f"C{number % PEOPLE}" for number in range(PAGE)]

on_each_store = pytest.mark.parametrize(
    "alias",
    [pytest.param(alias, marks=with_databases(alias)) for alias in ("events", "mariadb", "sqlite")],
)


@pytest.fixture
def events(alias: str, customers: list[int]) -> None:
    rows = [OrderEvent(customer_id=key) for key in keys_of(customers)]
    OrderEvent.objects.using(alias).bulk_create(rows)


@on_each_store
@pytest.mark.usefixtures("events")
def test_a_page_of_instances_is_one_query(alias: str, page: Callable[[Any], list[str]]) -> None:
    with statements(alias) as sent:
        names = page(OrderEvent.objects.using(alias).order_by("pk")[:PAGE])

    assert (names, len(sent)) == (EXPECTED, 1)


@on_each_store
@pytest.mark.usefixtures("events")
def test_a_page_of_values_is_one_query(alias: str, page: Callable[[Any], list[str]]) -> None:
    rows = OrderEvent.objects.using(alias).order_by("pk").values("pk", "customer_id")

    with statements(alias) as sent:
        names = page(rows[:PAGE])

    assert (names, len(sent)) == (EXPECTED, 1)


@on_each_store
@pytest.mark.usefixtures("events")
def test_a_page_of_raw_sql_is_one_query(alias: str, page: Callable[[Any], list[str]]) -> None:
    with statements(alias) as sent:
        names = page(OrderEvent.objects.using(alias).raw(SELECT))

    assert (names, len(sent)) == (EXPECTED, 1)


@pytest.fixture
def readings(customers: list[int]) -> Iterator[None]:
    """A table as a hypertable has to be, on plain PostgreSQL."""
    with connections["events"].schema_editor() as editor:
        editor.create_model(Reading)
    Reading._default_manager.using("events").bulk_create(
        Reading(at=BEGAN + timedelta(seconds=n), device_number=n % 3, customer_id=key, value=n)
        for n, key in enumerate(keys_of(customers))
    )
    yield
    with connections["events"].schema_editor() as editor:
        editor.delete_model(Reading)


@with_databases("events")
@pytest.mark.parametrize("model", [Reading, UnmanagedReading])
@pytest.mark.usefixtures("readings")
def test_a_page_of_a_hypertables_model_is_one_query(
    model: Any, page: Callable[[Any], list[str]]
) -> None:
    with statements("events") as sent:
        names = page(model.objects.using("events").order_by("at")[:PAGE])

    assert (names, len(sent)) == (EXPECTED, 1)


@with_databases("events")
@pytest.mark.usefixtures("readings")
def test_every_unique_index_of_a_hypertables_model_has_its_time() -> None:
    with connections["events"].cursor() as cursor:
        found = connections["events"].introspection.get_constraints(cursor, Reading._meta.db_table)

    unique = [each["columns"] for each in found.values() if each["unique"]]
    assert unique == [["at", "device_number"]]


class Event(NamedTuple):
    id: int
    customer_id: int


@dataclass
class PlainEvent:
    id: int
    customer_id: int


@dataclass(frozen=True)
class FrozenEvent:
    id: int
    customer_id: int


@contextmanager
def driver() -> Iterator["psycopg.Connection[Any]"]:
    """A connection of psycopg's own to the events; Django knows nothing of it."""
    parameters = connections["events"].get_connection_params()
    wanted = {name: parameters[name] for name in ("host", "port", "user", "dbname")}
    with psycopg.connect(**wanted) as connection:
        yield connection


@with_databases("events")
@pytest.mark.parametrize("alias", ["events"])
@pytest.mark.parametrize(
    "factory",
    [dict_row, class_row(PlainEvent), class_row(FrozenEvent)],
    ids=["dict", "dataclass", "frozen"],
)
@pytest.mark.usefixtures("events")
def test_a_drivers_own_rows_are_attached_to(factory: Any, page: Callable[[Any], list[str]]) -> None:
    with driver() as connection, connection.cursor(row_factory=factory) as cursor:
        assert page(cursor.execute(SELECT)) == EXPECTED


@with_databases()
def test_sqlites_own_rows_are_attached_to_as_dictionaries(
    customers: list[int], page: Callable[[Any], list[str]], tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "events")) as connection:
        connection.row_factory = sqlite3.Row
        connection.execute("CREATE TABLE event (customer_id INTEGER)")
        rows = [[key] for key in keys_of(customers)]
        connection.executemany("INSERT INTO event VALUES (?)", rows)

        assert page(map(dict, connection.execute("SELECT * FROM event"))) == EXPECTED


@with_databases()
def test_a_tuple_is_refused_and_told_what_to_give_instead(
    registry: ReferenceCache, customers: list[int]
) -> None:
    event = Event(1, customers[0])

    with pytest.raises(TypeError, match=r"takes no further attributes.*Give dictionaries"):
        registry.attach([event], customer="customer_id")

    (row,) = registry.attach([event._asdict()], customer="customer_id")
    assert row["customer"].name == "C0"


def rows_of(lines: list[str]) -> list[dict[str, Any]]:
    """By the function that docs/event-stores.md shows."""
    blocks = blocks_of(ROOT / "docs" / "event-stores.md")
    (code,) = [block.code for block in blocks if "\ndef rows_of(" in block.code]
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - it is the page's
    return list(names["rows_of"](lines))


@with_databases()
def test_a_page_from_influxdb_is_one_request(
    customers: list[int], page: Callable[[Any], list[str]]
) -> None:
    with answering(annotated_csv(keys_of(customers))) as influxdb:
        request = Request(influxdb.url, b'from(bucket: "orders")', method="POST")  # noqa: S310 - ours
        with urlopen(request, timeout=LIMIT) as response:  # noqa: S310 - ours
            rows = rows_of(response.read().decode().splitlines())
        names = page(rows)

    assert (names, len(influxdb.requests)) == (EXPECTED, 1)


def test_annotated_csv_keeps_types_defaults_and_tables_apart() -> None:
    lines = [
        *annotated_csv([7]).splitlines(),
        "#datatype,string,long,boolean,string",
        "#group,false,false,false,true",
        "#default,_result,,,none",
        ",result,table,paid,customer_id",
        ",,1,true,",
        ",,1,,9",
    ]

    first, *others = rows_of(lines)

    assert (first["customer_id"], first["_value"], first["table"]) == ("7", 0.25, 0)
    assert first["_time"] == datetime(2026, 1, 1, microsecond=500_000, tzinfo=UTC)
    assert others == [
        {"result": "_result", "table": 1, "paid": True, "customer_id": "none"},
        {"result": "_result", "table": 1, "paid": None, "customer_id": "9"},
    ]
