"""What is made of the reply to INFO."""

import pytest

from refcache.tiers.incarnation import incarnation_of

ID = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    "info",
    [
        f"# Server\r\nredis_version:7.0.0\r\nrun_id:{ID}\r\ntcp_port:1\r\n".encode(),
        f"run_id:{ID}",  # decoded, as RESP 3 may be
    ],
    ids=["bytes", "text"],
)
def test_the_first_48_bits_are_taken(info: object) -> None:
    assert incarnation_of(info) == 0x0123456789AB


@pytest.mark.parametrize("info", [b"", b"run_id:", b"run_id:123", None, 7, [], {}], ids=repr)
def test_what_is_none_is_unknown(info: object) -> None:
    assert incarnation_of(info) == 0
