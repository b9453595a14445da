"""The payloads of lists of keys."""

from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from refcache.core.exceptions import Undecodable, Unencodable
from refcache.core.key_lists import KeyListCodec
from refcache.core.keys import Key
from refcache.reading.columns import column_for
from tests.testapp.models import Customer, Device, Meter

NUMBERS = KeyListCodec([column_for(Customer._meta.pk, "id", connection)])
UUIDS = KeyListCodec([column_for(Device._meta.pk, "id", connection)])
FIELDS: list[Any] = [Meter._meta.get_field(name) for name in ("site", "number")]
PAIRS = KeyListCodec([column_for(each, each.name, connection) for each in FIELDS])


@pytest.mark.parametrize(
    ("codec", "keys"),
    [
        (NUMBERS, ()),
        (NUMBERS, (1, -5, 2**62)),
        (UUIDS, (UUID(int=0), UUID(int=2**128 - 1))),
        (PAIRS, ()),
        (PAIRS, (("a", 1), ("b", 2))),
    ],
)
def test_what_is_encoded_is_decoded(codec: KeyListCodec, keys: tuple[Key, ...]) -> None:
    assert codec.decode(codec.encode(keys)) == keys


def test_keys_of_other_columns_have_another_signature() -> None:
    assert len({each.signature for each in (NUMBERS, UUIDS, PAIRS)}) == 3


@pytest.mark.parametrize("payload", [b"", b"\x01", b"\xc0", b"\x91\xc0", b"\x91\xa1a", b"\x92\x01"])
def test_other_bytes_are_refused(payload: bytes) -> None:
    with pytest.raises(Undecodable):
        NUMBERS.decode(payload)
    with pytest.raises(Undecodable):
        PAIRS.decode(b"\x91" + payload)


def test_a_key_that_is_none_is_refused() -> None:
    with pytest.raises(Unencodable):
        NUMBERS.encode([object()])
    with pytest.raises(Unencodable):
        PAIRS.encode([("a",)])
