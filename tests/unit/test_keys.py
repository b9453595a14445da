"""Keys: what is built is parsed back, and two keys never share a name."""

import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refcache.core.keys import (
    Family,
    ParsedKey,
    family,
    index_text,
    key_text,
    parse,
    schema_id,
)

PREFIX = b"alias:1:"
texts = st.text(st.characters(codec="utf-8"))
names = st.from_regex(re.compile(r"[a-z0-9_.~-]+"), fullmatch=True)
fingerprints = st.from_regex(re.compile(r"[0-9a-f]{8}", re.ASCII), fullmatch=True)
versions = st.integers(0, 2**32 - 1)
fields = st.lists(
    st.from_regex(re.compile(r"[a-z_]+", re.ASCII), fullmatch=True), min_size=1, max_size=3
).map(tuple)


@given(names, versions, fingerprints, st.integers())
def test_an_integer_key_is_parsed_back(name: str, version: int, fingerprint: str, key: int) -> None:
    built = family(PREFIX, name).head(schema_id(version, fingerprint)) + key_text(key)

    assert parse(PREFIX, built) == ParsedKey(name, version, fingerprint, (), str(key))


@given(names, versions, fingerprints, texts)
def test_a_text_key_is_parsed_back(name: str, version: int, fingerprint: str, key: str) -> None:
    built = family(PREFIX, name).head(schema_id(version, fingerprint)) + key_text(key)

    assert parse(PREFIX, built) == ParsedKey(name, version, fingerprint, (), key)


@given(names, fingerprints, fields, texts)
def test_an_index_key_is_parsed_back(
    name: str, fingerprint: str, index: tuple[str, ...], key: str
) -> None:
    built = family(PREFIX, name).head(schema_id(1, fingerprint)) + index_text(index, key)

    assert parse(PREFIX, built) == ParsedKey(name, 1, fingerprint, index, key)


@pytest.mark.parametrize(
    "keys",
    [
        st.integers(),
        texts,
        st.binary(),
        st.uuids(),
        st.tuples(texts, texts),
        st.tuples(st.integers(), texts),
    ],
    ids=["integers", "texts", "bytes", "uuids", "pairs of texts", "mixed pairs"],
)
def test_two_keys_never_share_a_name(keys: st.SearchStrategy[object]) -> None:
    @given(keys, keys)
    def check(one: object, other: object) -> None:
        assert (key_text(one) == key_text(other)) == (one == other)

    check()


decimals = st.decimals(allow_nan=False)


@pytest.mark.parametrize("zero", [Decimal("-0"), -0.0], ids=["decimal", "float"])
def test_zero_has_one_name(zero: Decimal | float) -> None:
    assert key_text(zero) == key_text(abs(zero))


@given(decimals, decimals)
def test_decimals_share_a_name_if_they_are_equal(one: Decimal, other: Decimal) -> None:
    assert (key_text(one) == key_text(other)) == (one == other)


@given(
    st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    st.integers(-12, 12),
)
def test_one_moment_has_one_name_in_every_time_zone(moment: datetime, hours: int) -> None:
    elsewhere = moment.astimezone(timezone(timedelta(hours=hours)))

    assert key_text(elsewhere) == key_text(moment)


@given(texts, fields, texts)
def test_a_row_never_shares_a_name_with_an_index_entry(
    key: str, index: tuple[str, ...], value: str
) -> None:
    assert key_text(key) != index_text(index, value)


@given(names, names, versions, fingerprints, texts)
def test_an_epoch_never_shares_a_name_with_a_row(
    one: str, other: str, version: int, fingerprint: str, key: str
) -> None:
    row = family(PREFIX, one).head(schema_id(version, fingerprint)) + key_text(key)

    assert row != family(PREFIX, other).epoch_key


@given(st.binary())
def test_any_bytes_can_be_parsed(entry_key: bytes) -> None:
    assert parse(b"", entry_key) is None or b":" in entry_key


@pytest.mark.parametrize("entry_key", [b"other:1:x", b"alias:1:customer:epoch", b"alias:1:x"])
def test_what_is_no_row_is_not_parsed(entry_key: bytes) -> None:
    assert parse(PREFIX, entry_key) is None


@pytest.mark.parametrize("name", ["", "Customer", "a:b", "a b", "ä", "a\n"])
def test_a_name_that_cannot_be_a_part_of_a_key_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot name a reference"):
        family(PREFIX, name)


def test_the_documented_keys_are_built() -> None:
    customer = family(b"", "customer")
    head = customer.head(schema_id(1, "4f2a09c1"))

    assert customer == Family("customer", b"customer:")
    assert customer.epoch_key == b"customer:epoch"
    assert head + key_text(42) == b"customer:1:4f2a09c1:42"
    assert head + index_text(("email",), "ann@x.org") == b"customer:1:4f2a09c1:@email=ann%40x.org"
    assert key_text(UUID(int=1)) == b"00000000-0000-0000-0000-000000000001"
