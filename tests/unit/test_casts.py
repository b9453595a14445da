"""Keys as callers spell them: two spellings are one key, and no database is asked for nonsense."""

import reprlib
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from ipaddress import ip_address
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from django.db import connection, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import ConnectionHandler
from django.utils.functional import lazystr
from django.utils.safestring import mark_safe
from hypothesis import given
from hypothesis import strategies as st

from refcache.core.exceptions import InvalidKey
from refcache.core.keys import key_text
from refcache.reading.casts import key_caster
from refcache.reading.columns import UnsupportedField
from tests.testapp.every_field import AllFields, PairKeyed, PostgresFields

if TYPE_CHECKING:
    Field = models.Field[Any, Any]
    CharField = models.CharField[Any, Any]
    IntegerField = models.IntegerField[Any, Any]
else:
    Field, CharField, IntegerField = models.Field, models.CharField, models.IntegerField

PLUS_TWO = timezone(timedelta(hours=2))
NAIVE = datetime(2026, 1, 1)  # noqa: DTZ001 - what columns without a zone hold
ID = UUID("12345678-1234-5678-1234-567812345678")


class Level(IntEnum):
    HIGH = 7


class Tier(StrEnum):
    GOLD = "gold"


class Named(str, Enum):  # noqa: UP042 - its str() differs from that of a StrEnum
    GOLD = "gold"


class Id(UUID):
    pass


def field_of(model: type[models.Model], name: str) -> Field:
    return cast("Field", model._meta.get_field(name))


def caster(name: str, over: BaseDatabaseWrapper = connection) -> Callable[[object], Any]:
    return key_caster(field_of(AllFields, name), over)


def sqlite(zone: str | None = None) -> BaseDatabaseWrapper:
    """A connection that is never opened."""
    settings = {"ENGINE": "django.db.backends.sqlite3", "NAME": "unused", "TIME_ZONE": zone}
    return ConnectionHandler({"default": settings})["default"]


@pytest.mark.parametrize(
    ("name", "spelling", "key"),
    [
        ("integer", 7, 7),
        ("integer", "7", 7),
        ("integer", " 7 ", 7),
        ("integer", 7.0, 7),
        ("integer", Decimal("7.00"), 7),
        ("integer", Level.HIGH, 7),
        ("integer", lazystr("+7"), 7),
        ("integer", True, 1),
        ("one_to_one", "7", 7),
        ("char", "a", "a"),
        ("char", mark_safe("<b>"), "<b>"),
        ("char", lazystr("lazy"), "lazy"),
        ("char", Tier.GOLD, "gold"),
        ("char", Named.GOLD, "gold"),
        ("char", 7, "7"),
        ("char", ID, str(ID)),
        ("char", "Änne", "Änne"),
        ("generated_text", "a", "a"),
        ("slug", "a-b", "a-b"),
        ("file", "a/b.txt", "a/b.txt"),
        ("uuid", ID, ID),
        ("uuid", str(ID), ID),
        ("uuid", ID.hex.upper(), ID),
        ("uuid", f"{{{ID}}}", ID),
        ("uuid", ID.int, ID),
        ("uuid", Id(str(ID)), ID),
        ("foreign_key", str(ID), ID),
        ("decimal", "1.5", Decimal("1.500")),
        ("decimal", Decimal("1.50000"), Decimal("1.500")),
        ("decimal", 2, Decimal("2.000")),
        ("decimal", 1.1, Decimal("1.100")),
        ("decimal", "-0", Decimal("0.000")),
        ("floating", "1.5", 1.5),
        ("floating", -0.0, 0.0),
        ("boolean", "True", True),
        ("boolean", 0, False),
        ("binary", bytearray(b"a"), b"a"),
        pytest.param("binary", memoryview(b"a"), b"a", id="binary-a-view"),
        ("date", "2026-01-02", date(2026, 1, 2)),
        ("datetime", "2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("datetime", "2026-01-02 05:04:05+02:00", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (
            "datetime",
            datetime(2026, 1, 2, 5, 4, 5, tzinfo=PLUS_TWO),
            datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        ),
        ("time", "03:04:05", time(3, 4, 5)),
        ("time", time(3, 4, 5, fold=1), time(3, 4, 5)),
        ("duration", "1 00:00:01", timedelta(days=1, seconds=1)),
        ("ip_address", " 10.0.0.1 ", "10.0.0.1"),
        ("ip_address", ip_address("2001:db8::1"), "2001:db8::1"),
        ("ip_address", "2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
    ],
    ids=repr,
)
def test_spellings_of_a_key_become_what_the_database_gives(
    name: str, spelling: object, key: object
) -> None:
    cast = caster(name)(spelling)

    assert repr(cast) == repr(key)
    assert type(cast) is type(key)
    assert key_text(cast) == key_text(key)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("integer", "a"),
        ("integer", ""),
        ("integer", "7.0"),
        ("integer", 7.5),
        ("integer", Decimal("7.5")),
        ("integer", float("nan")),
        ("integer", float("inf")),
        ("integer", 2**31),
        ("integer", -(2**31) - 1),
        ("integer", b"7"),
        ("integer", ID),
        ("integer", (7,)),
        ("integer", "9" * 5_000),
        ("small_integer", 2**15),
        ("positive_integer", -1),
        ("char", "a\0"),
        ("char", "\ud800"),
        ("char", b"a"),
        ("char", ["a"]),
        pytest.param("char", object(), id="char-an-object"),
        ("uuid", "a"),
        ("uuid", b"a"),
        ("uuid", -1),
        ("uuid", 2**128),
        ("uuid", 1.0),
        ("decimal", "a"),
        ("decimal", "1.5001"),
        ("decimal", Decimal("NaN")),
        ("decimal", Decimal("Infinity")),
        ("decimal", "1000000000.000"),
        ("decimal", (0, (1,), 0)),
        ("floating", "nan"),
        ("floating", float("inf")),
        ("floating", 2**53 + 1),
        ("floating", 10**400),
        ("boolean", "a"),
        ("boolean", 2),
        ("boolean", ""),
        ("boolean", []),
        ("binary", "YQ=="),
        ("date", "a"),
        ("date", "2026-02-30"),
        ("date", NAIVE),
        ("datetime", "a"),
        ("datetime", date(2026, 1, 1)),
        ("datetime", datetime.min.replace(tzinfo=PLUS_TWO)),
        ("time", "25:00"),
        ("time", time(tzinfo=UTC)),
        ("duration", "a"),
        ("duration", 5),
        ("ip_address", "a"),
        ("ip_address", "10.0.0.0/8"),
        ("ip_address", "fe80::1%eth0"),
        ("ip_address", ""),
    ],
    ids=reprlib.repr,
)
def test_what_is_no_key_is_refused(name: str, key: object) -> None:
    with pytest.raises(InvalidKey, match=rf"is not a key of testapp.AllFields.{name}"):
        caster(name)(key)


def test_the_refusal_says_what_is_expected() -> None:
    with pytest.raises(InvalidKey) as caught:
        caster("positive_small_integer")(-1)

    assert str(caught.value) == (
        "-1 is not a key of testapp.AllFields.positive_small_integer (PositiveSmallIntegerField): "
        "expected 0 to 32767."
    )


def test_the_range_of_integers_is_that_of_the_database() -> None:
    assert caster("integer", sqlite())(2**31) == 2**31
    with pytest.raises(InvalidKey):
        caster("integer", sqlite())(2**63)


def test_an_internal_type_that_django_does_not_know_takes_64_bits() -> None:
    class Odd(IntegerField):
        def get_internal_type(self) -> str:
            return "OddField"

    field = Odd()
    field.set_attributes_from_name("odd")
    cast = key_caster(field, connection)

    assert cast(-(2**63)) == -(2**63)
    with pytest.raises(InvalidKey):
        cast(2**63)


def test_a_duration_that_does_not_fit_64_bits_is_refused_where_it_is_stored_in_them() -> None:
    assert caster("duration")(timedelta.max) == timedelta.max
    with pytest.raises(InvalidKey):
        caster("duration", sqlite())(timedelta.max)


def test_naive_datetimes_are_of_the_default_zone(settings: Any) -> None:
    settings.TIME_ZONE = "Europe/Paris"

    assert caster("datetime")(NAIVE.replace(hour=1)) == datetime(2026, 1, 1, tzinfo=UTC)


def test_the_two_passes_of_an_hour_that_occurs_twice_are_two_keys() -> None:
    cast = caster("datetime", sqlite("Europe/Paris"))
    first = datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Paris"))

    assert len({cast(first), cast(first.replace(fold=1))}) == 2


def test_datetimes_are_naive_where_time_zones_are_off(settings: Any) -> None:
    settings.USE_TZ = False
    cast = caster("datetime", sqlite())

    assert cast("2026-01-01 12:00") == NAIVE.replace(hour=12)
    with pytest.raises(InvalidKey, match="USE_TZ"):
        cast(datetime(2026, 1, 1, tzinfo=UTC))


def decimal_caster(places: int | None, digits: int | None) -> Callable[[object], Any]:
    field = models.DecimalField(max_digits=digits, decimal_places=places)
    field.set_attributes_from_name("price")
    return key_caster(field, connection)


def test_decimals_without_places_have_one_spelling() -> None:
    cast = decimal_caster(None, None)

    assert len({str(cast(key)) for key in ("1.5", "1.50", Decimal("1.500"))}) == 1
    assert len({str(cast(key)) for key in (100, "1E+2", "100.0")}) == 1
    for key in ("1E+200000", "1E-20000"):
        with pytest.raises(InvalidKey):
            cast(key)


@pytest.mark.parametrize("key", [("a", "7"), ["a", 7.0], (mark_safe("a"), Level.HIGH)])
def test_a_composite_key_is_cast_item_by_item(key: object) -> None:
    fields = [field_of(PairKeyed, "site"), field_of(PairKeyed, "number")]

    for key_fields in (fields, PairKeyed._meta.pk):
        cast_key = key_caster(key_fields, connection)(key)

        assert cast_key == ("a", 7)
        assert type(cast_key) is tuple


@pytest.mark.parametrize("key", ["a7", 7, ("a",), ("a", 7, 8), {"a": 7, "b": 8}])
def test_a_composite_key_of_another_shape_is_refused(key: object) -> None:
    with pytest.raises(InvalidKey, match="expected a tuple of site, number"):
        key_caster(PairKeyed._meta.pk, connection)(key)


def test_an_item_of_a_composite_key_is_refused_as_any_key() -> None:
    with pytest.raises(InvalidKey, match=r"PairKeyed\.number"):
        key_caster(PairKeyed._meta.pk, connection)(("a", "b"))


def test_a_null_in_a_composite_key_is_left_to_the_caller() -> None:
    assert key_caster(PairKeyed._meta.pk, connection)(("a", None)) == ("a", None)


@pytest.mark.parametrize("name", ["integers", "hstore", "integer_range", "generated_json"])
def test_a_field_without_single_values_cannot_be_a_key(name: str) -> None:
    with pytest.raises(UnsupportedField, match=rf"\.{name} cannot be a key"):
        key_caster(field_of(PostgresFields, name), connection)


def test_a_field_that_converts_itself_cannot_be_a_key() -> None:
    class Converting(CharField):
        def from_db_value(self, value: Any, *_args: object) -> Any:
            return value

    field = Converting()
    field.set_attributes_from_name("code")

    with pytest.raises(UnsupportedField, match="from_db_value"):
        key_caster(field, connection)


anything = st.one_of(
    st.integers(),
    st.floats(),
    st.text(),
    st.binary(),
    st.decimals(),
    st.uuids(),
    st.datetimes(timezones=st.none() | st.just(UTC)),
    st.dates(),
    st.times(timezones=st.none() | st.just(UTC)),
    st.timedeltas(),
    st.booleans(),
    st.lists(st.integers()),
    st.just(SimpleNamespace()),
)


@pytest.mark.parametrize(
    "name",
    [
        *("integer", "char", "uuid", "decimal", "floating", "boolean", "binary", "date"),
        *("datetime", "time", "duration", "ip_address"),
    ],
)
@given(key=anything)
def test_anything_is_a_key_or_refused_and_a_cast_key_stays_as_it_is(name: str, key: object) -> None:
    cast = caster(name)
    try:
        once = cast(key)
    except InvalidKey:
        return

    assert repr(cast(once)) == repr(once)
    assert isinstance(key_text(once), bytes)
