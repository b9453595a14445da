"""Row payloads: rows come back as snapshots, and no other bytes do."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from random import Random
from uuid import UUID

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from refcache.core.codec import RowCodec
from refcache.core.columns import Column
from refcache.core.containers import HSTORE, array, composite, json_document
from refcache.core.exceptions import Undecodable, Unencodable
from refcache.core.frozen import FrozenDict, FrozenList
from refcache.core.scalars import (
    BOOL,
    BYTES,
    DATE,
    DECIMAL,
    FLOAT,
    INT,
    TEXT,
    TIME,
    TIMEDELTA,
    UUID_KIND,
    aware_datetime,
)
from refcache.core.snapshots import snapshot_type

SIMPLE = [
    Column("id", INT),
    Column("name", TEXT),
    Column("price", DECIMAL),
    Column("at", aware_datetime(UTC)),
    Column("uuid", UUID_KIND),
]
MIXED = [
    Column("id", composite([INT, TEXT])),
    Column("document", json_document()),
    Column("tags", array(array(TEXT))),
    Column("labels", HSTORE),
    *(Column(f"c{n}", kind) for n, kind in enumerate([BOOL, BYTES, DATE, FLOAT, TIME, TIMEDELTA])),
]
WIDE = [Column(f"c{n}", INT) for n in range(40)]

Simple = snapshot_type("Simple", SIMPLE)
simple = RowCodec(Simple, SIMPLE)
mixed = RowCodec(snapshot_type("Mixed", MIXED), MIXED)
wide = RowCodec(snapshot_type("Wide", WIDE), WIDE)
tuples = RowCodec(None, SIMPLE)
CODECS = [simple, mixed, wide, tuples]

ROW = (7, "Ann", Decimal("1.50"), datetime(2026, 1, 2, 3, 4, 5, 6, UTC), UUID(int=7))
PAYLOAD = simple.encode(ROW)
MIXED_ROW = (
    *((1, "a"), {"x": [1.5]}, [["b"], None], {"c": None}),
    *(True, b"\0", date(2026, 1, 2), -0.5, time(12), timedelta(1)),
)
MIXED_PAYLOAD = mixed.encode(MIXED_ROW)


def test_a_row_becomes_a_snapshot() -> None:
    back = simple.decode(PAYLOAD)

    assert msgspec.structs.astuple(back) == ROW
    assert back.key == 7
    assert type(back) is Simple


def test_a_row_becomes_a_tuple_where_there_is_no_snapshot_type() -> None:
    assert tuples.decode(PAYLOAD) == ROW


def test_columns_that_need_unpacking_become_a_snapshot_too() -> None:
    back = mixed.decode(MIXED_PAYLOAD)

    assert msgspec.structs.astuple(back) == MIXED_ROW
    assert (type(back.document), type(back.tags), type(back.labels)) == (
        FrozenDict,
        FrozenList,
        FrozenDict,
    )


@pytest.mark.parametrize("codec", [simple, tuples])
def test_an_integer_beyond_64_bits_takes_the_second_way_in_a_row(codec: RowCodec) -> None:
    row = (10**30, *ROW[1:])

    assert codec.decode(codec.encode(row)) == codec.wrap(row)


def test_a_row_of_many_columns_comes_back() -> None:
    assert msgspec.structs.astuple(wide.decode(wide.encode(range(40)))) == tuple(range(40))


def test_a_payload_may_be_a_view() -> None:
    assert simple.decode(memoryview(PAYLOAD)) == simple.decode(PAYLOAD)


@pytest.mark.parametrize("count", [0, 1, 4, 6, 16])
@pytest.mark.parametrize("codec", [simple, tuples])
def test_another_number_of_columns_is_refused(codec: RowCodec, count: int) -> None:
    other = RowCodec(None, [SIMPLE[n % 5] for n in range(count)])
    payload = other.encode([ROW[n % 5] for n in range(count)])

    with pytest.raises(Undecodable):
        codec.decode(payload)


def test_trailing_bytes_are_refused() -> None:
    with pytest.raises(Undecodable):
        simple.decode(PAYLOAD + b"\xc0")


def test_every_truncation_is_refused() -> None:
    for length in range(len(PAYLOAD)):
        with pytest.raises(Undecodable):
            simple.decode(PAYLOAD[:length])


def test_a_length_that_the_payload_only_claims_is_refused() -> None:
    claims = [b"\xdf\xff\xff\xff\xff", b"\xdd\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff"]

    for codec in CODECS:
        for claim in claims:
            with pytest.raises(Undecodable):
                codec.decode(claim)
            with pytest.raises(Undecodable):
                codec.decode(codec._header + claim)


def test_deep_nesting_is_refused() -> None:
    document = RowCodec(None, [Column("id", INT), Column("document", json_document())])
    nested = msgspec.msgpack.encode((1, "[" * 200_000 + "]" * 200_000))

    with pytest.raises(Undecodable):
        document.decode(nested)
    for codec in CODECS:
        with pytest.raises(Undecodable):
            codec.decode(codec._header + b"\x91" * 200_000)


def test_a_number_too_long_to_be_one_is_refused() -> None:
    with pytest.raises(Undecodable):
        RowCodec(None, [Column("id", INT)]).decode(msgspec.msgpack.encode(("9" * 5_000,)))
    with pytest.raises(Unencodable):
        RowCodec(None, [Column("id", INT)]).encode((10**5_000,))


items = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=10),
    st.sampled_from(["2026-01-01", "25:00:00", "P1DT", "1E+9999999999", "NaN", "[1", "9" * 30]),
    st.binary(max_size=20),
    st.builds(msgspec.msgpack.Ext, st.integers(-128, 127), st.binary(max_size=15)),
)
values = st.recursive(
    items,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="ascii"), max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)
garbage = st.one_of(
    st.binary(),
    st.binary().map(lambda rest: PAYLOAD[:1] + rest),
    st.tuples(st.integers(0, len(PAYLOAD) - 1), st.binary(max_size=4)).map(
        lambda cut: PAYLOAD[: cut[0]] + cut[1] + PAYLOAD[cut[0] + len(cut[1]) :]
    ),
    st.lists(values, min_size=5, max_size=5).map(msgspec.msgpack.encode),
    st.lists(values, min_size=10, max_size=10).map(msgspec.msgpack.encode),
)


@settings(max_examples=5 * settings().max_examples)
@given(garbage)
@example(b"")
@example(b"\x95\xd7\xff\xff\xff\xff\xff\xff\xff\xff\xff\xc0\xc0\xc0\xc0")
def test_any_bytes_give_a_row_or_undecodable(payload: bytes) -> None:
    _assert_row_or_undecodable(payload)


@given(st.randoms(use_true_random=True))
def test_any_change_of_a_payload_gives_a_row_or_undecodable(random: Random) -> None:
    for payload in (PAYLOAD, MIXED_PAYLOAD):
        for _ in range(100):
            changed = bytearray(payload)
            for _ in range(random.randrange(1, 4)):
                changed[random.randrange(len(changed))] = random.randrange(256)
            _assert_row_or_undecodable(bytes(changed))


def _assert_row_or_undecodable(payload: bytes) -> None:
    for codec in (simple, mixed, tuples):
        try:
            row = codec.decode(payload)
        except Undecodable:
            continue
        assert len(row if isinstance(row, tuple) else msgspec.structs.astuple(row)) == len(
            codec.columns
        )


def test_a_row_that_cannot_be_stored_names_the_column_and_hides_the_value() -> None:
    with pytest.raises(Unencodable) as caught:
        simple.encode((7, "Ann", "secret", None, None))

    assert str(caught.value) == "Column 'price' (decimal) cannot be stored: a str is not a Decimal."


def test_a_row_of_another_length_cannot_be_stored() -> None:
    with pytest.raises(Unencodable, match="4 values does not fit 5 columns"):
        simple.encode(ROW[:4])


def test_wrap_gives_what_decode_would() -> None:
    assert mixed.wrap(MIXED_ROW) == mixed.decode(MIXED_PAYLOAD)
    assert simple.wrap(ROW) == simple.decode(PAYLOAD)
    assert type(mixed.wrap(MIXED_ROW).document) is FrozenDict


def test_wrap_takes_a_row_that_cannot_be_stored() -> None:
    assert simple.wrap((7, "\ud800", None, None, None)).name == "\ud800"


def test_the_signature_tells_columns_apart() -> None:
    assert simple.signature == "id:int,name:str,price:decimal,at:datetime(UTC),uuid:uuid"


# Changing what stands here makes entries of older releases unreadable: a change of kinds needs
# another signature, so that old and new code have entries of their own.
def test_the_wire_format_is_what_older_releases_wrote() -> None:
    assert PAYLOAD.hex() == (
        "9507a3416e6ea4312e3530d7ff00005dc0695735a5c41000000000000000000000000000000007"
    )
    assert MIXED_PAYLOAD.hex() == (
        "9a9201a161ab7b2278223a5b312e355d7d9291a162c081a163c0c3c40100aa323032362d30312d3032"
        "cbbfe0000000000000a831323a30303a3030a3503144"
    )
