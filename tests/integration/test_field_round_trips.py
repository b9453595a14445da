"""What PostgreSQL and SQLite give for every field comes back from a payload as it was read."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest
from django.contrib.postgres.signals import get_hstore_oids, register_type_handlers
from django.db import DatabaseError, connection, connections, models, transaction
from django.db.utils import ConnectionHandler
from pytest_django import DjangoDbBlocker

from refcache.core.codec import RowCodec
from refcache.core.columns import Column
from refcache.core.frozen import FrozenDict, FrozenList
from refcache.reading.casts import key_caster
from refcache.reading.columns import column_for
from tests.testapp.every_field import AllFields, PairKeyed, PostgresFields, UuidKeyed

MODELS = (UuidKeyed, PairKeyed, AllFields)
ROW = UUID(int=7)

ORDINARY: dict[str, Any] = {
    "big_integer": 2**40,
    "binary": b"\x00\xffabc",
    "boolean": True,
    "char": "Änne \N{SNOWMAN}",
    "date": date(2026, 2, 28),
    "datetime": datetime(2026, 2, 28, 12, 30, 15, 123456, UTC),
    "decimal": Decimal("1.500"),
    "duration": timedelta(days=3, seconds=4, microseconds=5),
    "email": "a@example.org",
    "file": "uploads/a.txt",
    "file_path": "/srv/a.txt",
    "floating": 1.1,
    "integer": 12,
    "ip_address": "10.0.0.1",
    "json": {"a": [1, 2.5, {"b": None}], "c": "d"},
    "json_encoded": {"at": datetime(2026, 1, 1, tzinfo=UTC), "of": [Decimal("1.5")]},
    "positive_big_integer": 2**62,
    "positive_integer": 5,
    "positive_small_integer": 6,
    "slug": "a-b",
    "small_integer": -7,
    "text": "long\ntext",
    "time": time(23, 59, 59, 999999),
    "url": "https://example.org/?a=b",
    "uuid": UUID(int=2**128 - 1),
    "foreign_key_id": ROW,
}

EXTREME: dict[str, Any] = {
    "big_integer": -(2**63),
    "binary": b"",
    "boolean": False,
    "char": "",
    "date": date.max,
    "datetime": datetime(9999, 12, 31, 23, 59, 59, 999999, UTC),
    "decimal": Decimal("-999999999.999"),
    "duration": -timedelta(days=100_000, microseconds=1),
    "floating": -1.7976931348623157e308,
    "integer": -(2**31),
    "ip_address": "2001:db8::1",
    "json": [],
    "json_encoded": "text",
    "positive_big_integer": 2**63 - 1,
    "text": "\N{GRINNING FACE}",
    "time": time(),
    "uuid": UUID(int=0),
}


@pytest.fixture
def postgres(db: None) -> str:  # noqa: ARG001 - it opens the test's transaction
    """An alias with the tables of `MODELS`; all is rolled back."""
    _make_tables("default", MODELS)
    return "default"


@pytest.fixture
def sqlite(tmp_path: Path, django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    """An alias with the tables of `MODELS`, in a file."""
    settings = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": tmp_path / "sqlite3"}}
    connections.settings["file"] = ConnectionHandler().configure_settings(settings)["default"]
    try:
        with django_db_blocker.unblock():
            _make_tables("file", MODELS)
            yield "file"
    finally:
        connections["file"].close()
        del connections["file"]
        del connections.settings["file"]


@pytest.fixture(params=["postgres", "sqlite"])
def alias(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


@pytest.mark.parametrize("values", [ORDINARY, EXTREME, {}], ids=["ordinary", "extreme", "null"])
def test_every_field_comes_back_as_it_was_read(alias: str, values: dict[str, Any]) -> None:
    UuidKeyed.objects.using(alias).create(id=ROW)
    made = AllFields.objects.using(alias).create(**values)
    AllFields.objects.using(alias).filter(pk=made.pk).update(one_to_one_id=made.pk)

    _assert_round_trip(alias, AllFields)


def test_composite_key_comes_back_as_it_was_read(alias: str) -> None:
    PairKeyed.objects.using(alias).create(site="a", number=1)

    _assert_round_trip(alias, PairKeyed)


@pytest.mark.parametrize(
    "name",
    [
        "big_integer",
        "binary",
        "boolean",
        "char",
        "date",
        "datetime",
        "decimal",
        "duration",
        "file_path",
        "foreign_key",
        "floating",
        "ip_address",
        "text",
        "time",
        "uuid",
    ],
)
@pytest.mark.parametrize("values", [ORDINARY, EXTREME], ids=["ordinary", "extreme"])
def test_what_the_database_gives_is_a_canonical_key(
    alias: str, name: str, values: dict[str, Any]
) -> None:
    UuidKeyed.objects.using(alias).create(id=ROW)
    AllFields.objects.using(alias).create(**values)
    field = cast("models.Field[Any, Any]", AllFields._meta.get_field(name))
    stored = AllFields.objects.using(alias).exclude(**{name: None}).values_list(name, flat=True)

    for value in stored:
        key = key_caster(field, connections[alias])(value)

        assert key == value
        assert AllFields.objects.using(alias).filter(**{f"{name}__in": [key]}).exists()


@pytest.mark.django_db
def test_every_postgres_field_comes_back_as_it_was_read() -> None:
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("CREATE EXTENSION hstore")
    except DatabaseError:
        pytest.skip("PostgreSQL's extension hstore is not installed")
    get_hstore_oids.cache_clear()  # type: ignore[attr-defined]  # a functools.lru_cache
    register_type_handlers(connection)
    _make_tables("default", (PostgresFields,))
    at = datetime(2026, 2, 28, 12, 30, tzinfo=UTC)
    objects = PostgresFields._default_manager
    objects.create(
        integers=[1, None, -3],
        nested=[[Decimal("1.50"), Decimal("-7.00")], [None, Decimal("0.00")]],
        times=[at, None],
        documents=[{"a": [1, None]}, "b", None],
        hstore={"a": "b", "c": None},
        integer_range=(1, 5),
        big_integer_range=(None, 2**40),
        decimal_range=(Decimal("0.5"), None),
        datetime_range=(at, at + timedelta(days=1)),
        date_range=(date(2026, 1, 1), date(2026, 2, 1)),
        search="a fat cat",
    )
    objects.create(integers=[], hstore={}, integer_range=(1, 1), date_range=(None, None))
    objects.create()

    _assert_round_trip("default", PostgresFields)


def _make_tables(alias: str, made: tuple[type[models.Model], ...]) -> None:
    present = connections[alias].introspection.table_names()
    with connections[alias].schema_editor() as editor:
        for model in made:
            if model._meta.db_table not in present:
                editor.create_model(model)


def _assert_round_trip(alias: str, model: type[models.Model]) -> None:
    fields = [model._meta.pk, *model._meta.concrete_fields]
    columns = [Column("key", column_for(fields[0], "key", connections[alias]).kind)]
    columns += [column_for(field, field.name, connections[alias]) for field in fields[1:]]
    codec = RowCodec(None, columns)
    rows = list(
        model._base_manager.using(alias).values_list("pk", *(f.attname for f in fields[1:]))
    )
    assert rows

    for row in rows:
        back = codec.decode(codec.encode(row))

        read = tuple(bytes(v) if isinstance(v, memoryview) else v for v in row)
        assert repr(_plain(back)) == repr(read)


def _plain(value: object) -> object:
    """*value* with plain containers, as only these may be of another type."""
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
    if isinstance(value, FrozenList):
        return [_plain(each) for each in value]
    if isinstance(value, FrozenDict):
        return {key: _plain(each) for key, each in value.items()}
    return value
