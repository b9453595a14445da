"""Kinds: every value comes back as it was, and what cannot is refused."""

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from json import JSONDecoder, JSONEncoder
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refcache.core import scalars
from refcache.core.codec import RowCodec
from refcache.core.columns import Column, Kind
from refcache.core.containers import HSTORE, array, composite, json_document, range_of
from refcache.core.exceptions import Undecodable, Unencodable

PARIS = ZoneInfo("Europe/Paris")
PLUS_TWO = timezone(timedelta(hours=2))

naive_datetimes = st.datetimes()
instants = st.datetimes(
    # Not the very first and last day, which other zones cannot tell.
    min_value=datetime(1, 1, 3),  # noqa: DTZ001 - Hypothesis wants naive bounds
    max_value=datetime(9999, 12, 29),  # noqa: DTZ001 - as above
    timezones=st.just(UTC),
)
texts = st.text(st.characters(exclude_categories=["Cs"]))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=15,
)


def through(kind: Kind, value: object) -> Any:
    """*value* after a payload of one column, decoded to a tuple."""
    codec = RowCodec(None, [Column("it", kind)])
    return codec.decode(codec.encode((value,)))[0]


@given(st.booleans())
def test_bools_come_back(value: bool) -> None:  # noqa: FBT001 - Hypothesis gives it by position
    assert through(scalars.BOOL, value) is value


@given(st.integers() | st.integers(-(2**70), 2**70) | st.sampled_from([2**64, -(2**63) - 1]))
def test_integers_come_back_beyond_64_bits_too(value: int) -> None:
    back = through(scalars.INT, value)

    assert back == value
    assert type(back) is int


@given(st.floats())
def test_floats_come_back(value: float) -> None:
    back = through(scalars.FLOAT, value)

    assert type(back) is float
    assert repr(back) == repr(value)
    assert math.copysign(1, back) == math.copysign(1, value) or math.isnan(value)


@given(texts)
def test_text_comes_back(value: str) -> None:
    assert through(scalars.TEXT, value) == value


@given(st.binary(), st.sampled_from([bytes, bytearray, memoryview]))
def test_bytes_come_back_as_bytes(value: bytes, given_as: type[Any]) -> None:
    back = through(scalars.BYTES, given_as(value))

    assert back == value
    assert type(back) is bytes


@given(
    st.decimals()
    | st.sampled_from(["-0", "-0.00", "1E+5", "0E-10", "sNaN", "-NaN12", "Infinity"]).map(Decimal)
)
def test_decimals_come_back_digit_for_digit(value: Decimal) -> None:
    assert through(scalars.DECIMAL, value).as_tuple() == value.as_tuple()


@given(naive_datetimes)
def test_naive_datetimes_come_back(value: datetime) -> None:
    assert through(scalars.NAIVE_DATETIME, value) == value.replace(fold=0)


@given(instants, st.sampled_from([UTC, PARIS, PLUS_TWO, ZoneInfo("UTC")]))
def test_aware_datetimes_come_back_in_their_column_s_zone(value: datetime, zone: tzinfo) -> None:
    read = value.astimezone(zone)

    back = through(scalars.aware_datetime(zone), read)

    assert back == read
    assert back.tzinfo is zone
    assert back.utcoffset() == read.utcoffset()  # What == leaves out within one zone.


def test_an_hour_that_occurs_twice_keeps_its_two_passes() -> None:
    first = datetime(2026, 10, 25, 2, 30, tzinfo=PARIS)
    second = first.replace(fold=1)

    backs = [through(scalars.aware_datetime(PARIS), value) for value in (first, second)]

    assert [back.utcoffset() for back in backs] == [timedelta(hours=2), timedelta(hours=1)]


def test_a_clock_time_that_the_zone_skips_comes_back() -> None:
    skipped = datetime(2026, 3, 29, 2, 30, tzinfo=PARIS)

    assert through(scalars.aware_datetime(PARIS), skipped) == skipped


def test_another_zone_s_datetime_becomes_the_column_s() -> None:
    given_value = datetime(2026, 1, 1, 12, tzinfo=PLUS_TWO)

    for zone in (UTC, PARIS):
        back = through(scalars.aware_datetime(zone), given_value)

        assert back == given_value
        assert back.tzinfo is zone


@given(st.dates())
def test_dates_come_back(value: date) -> None:
    assert through(scalars.DATE, value) == value


@given(st.times())
def test_times_come_back(value: time) -> None:
    assert through(scalars.TIME, value) == value


@given(st.timedeltas() | st.sampled_from([timedelta.min, timedelta.max, timedelta.resolution]))
def test_timedeltas_come_back_to_the_microsecond(value: timedelta) -> None:
    assert through(scalars.TIMEDELTA, value) == value


@given(st.uuids())
def test_uuids_come_back(value: UUID) -> None:
    assert through(scalars.UUID_KIND, value) == value


@given(json_values)
def test_json_comes_back(value: object) -> None:
    assert through(json_document(), value) == value


def test_json_is_frozen_all_the_way_down() -> None:
    back = through(json_document(), {"a": [{"b": []}]})

    for container in (back, back["a"], back["a"][0], back["a"][0]["b"]):
        with pytest.raises(TypeError, match="immutable"):
            container.clear()


def test_json_keeps_what_is_outside_of_the_standard() -> None:
    value = ["\ud800", float("inf"), 2**100]

    assert through(json_document(), value) == value


class Tagging(JSONEncoder):
    def default(self, o: object) -> object:
        return {"decimal": str(o)} if isinstance(o, Decimal) else super().default(o)


class Untagging(JSONDecoder):
    def __init__(self) -> None:
        super().__init__(object_hook=lambda d: Decimal(d["decimal"]) if "decimal" in d else d)


class Failing(JSONDecoder):
    def decode(self, s: str, *_args: object) -> object:
        raise ZeroDivisionError(s)


def test_json_goes_through_the_field_s_encoder_and_decoder() -> None:
    value = {"price": Decimal("1.50")}

    assert through(json_document(Tagging, Untagging), value) == value


def test_json_that_its_encoder_and_decoder_would_change_is_refused() -> None:
    with pytest.raises(Unencodable, match="do not give back"):
        through(json_document(Tagging), {"price": Decimal("1.50")})


def test_an_error_of_a_foreign_decoder_is_a_payload_that_cannot_be_decoded() -> None:
    payload = RowCodec(None, [Column("it", json_document())]).encode(([1],))

    with pytest.raises(Undecodable):
        RowCodec(None, [Column("it", json_document(None, Failing))]).decode(payload)


@given(st.lists(st.none() | st.integers()))
def test_arrays_come_back_with_their_nulls(value: list[int | None]) -> None:
    assert through(array(scalars.INT), value) == value


@given(st.lists(st.none() | st.lists(st.none() | instants)))
def test_nested_arrays_come_back(value: list[list[datetime | None] | None]) -> None:
    assert through(array(array(scalars.aware_datetime(UTC))), value) == value


def test_arrays_are_frozen_all_the_way_down() -> None:
    back = through(array(array(scalars.INT)), [[1], [2]])

    for container in (back, back[0]):
        with pytest.raises(TypeError, match="immutable"):
            container.append(3)


@given(st.dictionaries(texts, st.none() | texts))
def test_hstores_come_back(value: dict[str, str | None]) -> None:
    assert through(HSTORE, value) == value


@dataclass(frozen=True)
class Range:
    """As a driver's range."""

    lower: Any = None
    upper: Any = None
    bounds: str = "[)"
    empty: bool = False

    @property
    def isempty(self) -> bool:
        return self.empty

    @property
    def lower_inc(self) -> bool:
        return self.bounds[0] == "["

    @property
    def upper_inc(self) -> bool:
        return self.bounds[1] == "]"


@pytest.mark.parametrize(
    "value",
    [
        Range(empty=True),
        Range(1, 5),
        Range(None, 2**70, "(]"),
        Range(1, None, "[)"),
        Range(bounds="()"),
    ],
)
def test_ranges_come_back(value: Range) -> None:
    assert through(range_of(scalars.INT, Range), value) == value


@given(st.tuples(texts, st.integers(), st.uuids()))
def test_composite_keys_come_back(value: tuple[str, int, UUID]) -> None:
    back = through(composite([scalars.TEXT, scalars.INT, scalars.UUID_KIND]), value)

    assert back == value
    assert type(back) is tuple


ALL = [
    scalars.BOOL,
    scalars.INT,
    scalars.FLOAT,
    scalars.TEXT,
    scalars.BYTES,
    scalars.DECIMAL,
    scalars.NAIVE_DATETIME,
    scalars.aware_datetime(UTC),
    scalars.aware_datetime(PARIS),
    scalars.DATE,
    scalars.TIME,
    scalars.TIMEDELTA,
    scalars.UUID_KIND,
    json_document(),
    array(scalars.INT),
    HSTORE,
    range_of(scalars.INT, Range),
    composite([scalars.INT, scalars.INT]),
]


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.signature)
def test_every_kind_carries_null(kind: Kind) -> None:
    assert through(kind, None) is None


def test_kinds_that_differ_have_signatures_that_differ() -> None:
    others = [
        scalars.aware_datetime(ZoneInfo("UTC")),
        scalars.aware_datetime(PLUS_TWO),
        json_document(Tagging),
        json_document(None, Untagging),
        array(scalars.TEXT),
        array(array(scalars.INT)),
        range_of(scalars.DATE, Range),
        composite([scalars.INT]),
    ]
    signatures = [kind.signature for kind in ALL + others]

    assert len(set(signatures)) == len(signatures)


class Marked(str):
    """As Django's SafeString: str() gives the very same object."""

    __slots__ = ()

    def __str__(self) -> str:
        return self


class Tier(StrEnum):
    GOLD = "gold"


class Named(str, Enum):  # noqa: UP042 - its str() differs from that of a StrEnum
    GOLD = "gold"


class Level(IntEnum):
    HIGH = 3


NAIVE = datetime(2026, 1, 1)  # noqa: DTZ001 - what columns without a zone hold


class Price(Decimal):
    pass


class Stamp(datetime):
    pass


class Day(date):
    pass


class Span(timedelta):
    pass


class Id(UUID):
    pass


@pytest.mark.parametrize(
    ("kind", "value", "plain"),
    [
        (scalars.TEXT, Marked("a"), "a"),
        (scalars.TEXT, Tier.GOLD, "gold"),
        (scalars.TEXT, Named.GOLD, "gold"),
        (scalars.INT, Level.HIGH, 3),
        (scalars.INT, True, 1),
        (scalars.FLOAT, 2, 2.0),
        (scalars.DECIMAL, Price("1.50"), Decimal("1.50")),
        (scalars.NAIVE_DATETIME, Stamp(2026, 1, 1), NAIVE),
        (
            scalars.aware_datetime(UTC),
            Stamp(2026, 1, 1, tzinfo=UTC),
            datetime(2026, 1, 1, tzinfo=UTC),
        ),
        (
            scalars.aware_datetime(PARIS),
            Stamp(2026, 1, 1, tzinfo=PARIS),
            datetime(2026, 1, 1, tzinfo=PARIS),
        ),
        (scalars.DATE, Day(2026, 1, 1), date(2026, 1, 1)),
        (scalars.TIMEDELTA, Span(1), timedelta(1)),
        (scalars.UUID_KIND, Id(int=7), UUID(int=7)),
        (array(scalars.TEXT), [Marked("a")], ["a"]),
        (HSTORE, {Marked("a"): Marked("b")}, {"a": "b"}),
    ],
)
def test_subclasses_become_what_a_database_gives(kind: Kind, value: object, plain: object) -> None:
    back = through(kind, value)

    assert back == plain
    assert repr(back) == repr(plain)


def test_text_to_be_evaluated_is_text() -> None:
    class Lazy:
        def __str__(self) -> str:
            return Marked("later")

    assert repr(through(scalars.text(lazy=(Lazy,)), Lazy())) == "'later'"


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (scalars.BOOL, 1),
        (scalars.INT, "1"),
        (scalars.INT, 1.0),
        (scalars.FLOAT, "1"),
        (scalars.FLOAT, 2**53 + 1),
        (scalars.TEXT, 1),
        (scalars.TEXT, b"a"),
        (scalars.TEXT, "\ud800"),
        (scalars.BYTES, "a"),
        (scalars.DECIMAL, 1.5),
        (scalars.DECIMAL, "1.5"),
        (scalars.NAIVE_DATETIME, datetime(2026, 1, 1, tzinfo=UTC)),
        (scalars.NAIVE_DATETIME, date(2026, 1, 1)),
        (scalars.aware_datetime(UTC), NAIVE),
        (scalars.aware_datetime(PARIS), NAIVE),
        (scalars.aware_datetime(UTC), datetime.min.replace(tzinfo=PLUS_TWO)),
        (scalars.DATE, NAIVE),
        (scalars.DATE, "2026-01-01"),
        (scalars.TIME, time(tzinfo=UTC)),
        (scalars.TIME, "12:00"),
        (scalars.TIMEDELTA, 5),
        (scalars.UUID_KIND, "00000000-0000-0000-0000-000000000007"),
        (json_document(), {1, 2}),
        (json_document(), object()),
        (array(scalars.INT), "12"),
        (array(scalars.INT), ["1"]),
        (HSTORE, [("a", "b")]),
        (HSTORE, {"a": 1}),
        (HSTORE, {None: "a"}),
        (range_of(scalars.INT, Range), (1, 5)),
        (composite([scalars.INT, scalars.INT]), (1,)),
        (composite([scalars.INT, scalars.INT]), [1, 2]),
        (composite([scalars.INT]), "1"),
    ],
)
def test_what_a_kind_cannot_carry_is_refused(kind: Kind, value: object) -> None:
    with pytest.raises(Unencodable, match="Column 'it'"):
        through(kind, value)
