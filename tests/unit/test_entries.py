"""The wire format: what is packed is parsed back, all else is a miss, old bytes stay read."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refcache.core import entries
from refcache.core.entries import Entry, Epoch, Schema, Token

GOLDEN = Path(__file__).parents[1] / "golden"
CHANGED = "The wire format changed: raise the version, add a file, keep reading the old one."
KEY = b"customer:1:4f2a09c1:42"

times = st.integers(0, 2**48 - 1)
tokens = st.binary(min_size=8, max_size=8)
ids = st.binary(min_size=12, max_size=12)
states = st.sampled_from([bytes([state]) for state in entries.STATES])
some_entries = st.builds(Entry, states, tokens, times, ids, times, times, st.binary())
writers = st.builds(Token, tokens, times, st.sampled_from([b"r", b"e", b"g"]))
epochs = st.builds(
    Epoch,
    ids,
    st.lists(st.builds(Schema, ids, times, times), max_size=5).map(tuple),
    st.lists(writers, max_size=5).map(tuple),
    times,
)


@given(st.binary(), some_entries)
def test_an_entry_is_parsed_back(key: bytes, entry: Entry) -> None:
    assert entries.parse(key, entries.pack(key, entry)) == entry


@given(st.binary(), epochs, times)
def test_an_epoch_is_parsed_back(key: bytes, epoch: Epoch, now: int) -> None:
    assert entries.parse_epoch(key, entries.pack_epoch(key, epoch, now)) == epoch


@given(st.lists(writers).map(tuple))
def test_tokens_are_parsed_back(some: tuple[Token, ...]) -> None:
    assert entries.unpack_tokens(entries.pack_tokens(some)) == some


@given(st.binary(), st.binary())
def test_any_bytes_can_be_parsed(key: bytes, raw: bytes) -> None:
    assert entries.parse(key, raw) is None
    assert entries.parse_epoch(key, raw) is None


@given(st.binary(), some_entries, st.data())
def test_a_changed_byte_is_noticed(key: bytes, entry: Entry, data: st.DataObject) -> None:
    raw = entries.pack(key, entry)
    at = data.draw(st.integers(entries.CHECKED, len(raw) - 1))
    mask = data.draw(st.integers(1, 255))
    changed = raw[:at] + bytes([raw[at] ^ mask]) + raw[at + 1 :]
    if at == entries.CHECKED + 1:  # Another state is checked in another way; see the next test.
        return

    assert entries.parse(key, changed) is None


@given(st.binary(), some_entries, st.data())
def test_a_cut_is_noticed(key: bytes, entry: Entry, data: st.DataObject) -> None:
    raw = entries.pack(key, entry)
    cut = raw[: data.draw(st.integers(0, len(raw) - 1))]

    assert entries.parse(key, cut) != entry


@given(some_entries)
def test_an_entry_is_nothing_under_another_key(entry: Entry) -> None:
    assert entries.parse(b"customer:1:4f2a09c1:43", entries.pack(KEY, entry)) is None


@given(some_entries, tokens, times)
def test_a_token_can_be_put_in_without_the_checksum(
    entry: Entry, token: bytes, deadline: int
) -> None:
    """As the claim script does with a value."""
    raw = entries.pack(KEY, entry)
    held = raw[:4] + token + entries.six(deadline) + raw[entries.CHECKED :]

    assert entries.parse(KEY, held) == entry._replace(token=token, deadline=deadline)


def test_an_epoch_is_marked_only_by_a_live_token_of_its_kind() -> None:
    row, old, live = (
        Epoch(bytes(12), (), (Token(b"12345678", deadline, kind),))
        for deadline, kind in ((200, b"r"), (100, b"e"), (101, b"e"))
    )

    assert [epoch.is_marked(100) for epoch in (row, old, live)] == [False, False, True]


# Golden files: one per entry, as it was written by the version that its name begins with.


def _entry(entry: dict[str, Any]) -> bytes:
    fields: dict[str, Any] = {name: _unhexed(name, value) for name, value in entry.items()}
    return entries.pack(KEY, Entry(**fields))


def _epoch(epoch: dict[str, Any]) -> bytes:
    schemas = tuple(Schema(s["id"].encode(), s["since"], s["until"]) for s in epoch["schemas"])
    writers = tuple(
        Token(t["id"].encode(), t["deadline"], t["kind"].encode()) for t in epoch["tokens"]
    )
    # The first files were written before an epoch told whose it is.
    incarnation = epoch.get("incarnation", 0)
    packed = Epoch(epoch["id"].encode(), schemas, writers, incarnation)
    return entries.pack_epoch(KEY, packed, epoch["now"])


def _unhexed(name: str, value: str | int) -> bytes | int:
    if isinstance(value, int):
        return value
    return bytes.fromhex(value) if name == "body" else value.encode()


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("v*.json")), ids=lambda path: path.stem)
def test_bytes_of_every_version_are_still_read(path: Path) -> None:
    golden = json.loads(path.read_text())
    raw = bytes.fromhex(golden["raw"])

    assert golden["key"].encode() == KEY
    assert entries.parse(KEY, raw) is not None, CHANGED


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("v1-*.json")), ids=lambda path: path.stem)
def test_the_wire_format_is_the_one_of_version_1(path: Path) -> None:
    golden = json.loads(path.read_text())
    raw = _epoch(golden["epoch"]) if "epoch" in golden else _entry(golden["entry"])

    assert raw.hex() == golden["raw"], CHANGED


def test_an_epochs_incarnation_and_graces_are_read_back() -> None:
    golden = json.loads((GOLDEN / "v1-epoch-of-incarnation.json").read_text())

    epoch = entries.parse_epoch(KEY, bytes.fromhex(golden["raw"]))

    assert epoch is not None
    assert epoch.incarnation == golden["epoch"]["incarnation"]
    assert [token.kind for token in epoch.tokens] == [b"r", b"e", b"g", b"g"]
    assert epoch.reads_primary(golden["epoch"]["now"])


# A format of the future


@given(some_entries, st.binary(min_size=1, max_size=1))
def test_an_unknown_format_is_nothing(entry: Entry, version: bytes) -> None:
    raw = entries.pack(KEY, entry)
    foreign = raw[:18] + version + raw[19:]
    foreign = entries.checksum(KEY, foreign) + foreign[4:]

    if version != entries.FORMAT:
        assert entries.parse(KEY, foreign) is None
        assert entries.parse_epoch(KEY, foreign) is None
