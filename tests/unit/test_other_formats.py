"""Entries in a format of the future: each version goes on by itself, and nothing crashes."""

import pytest

from refcache.core import entries
from refcache.core.events import CorruptEntry
from tests.simulation.bench import Bench, windows

FUTURE = b"\x02"


@pytest.fixture
def bench() -> Bench:
    bench = Bench(policy=windows(60, 3600))
    bench.rows = {1: 10, 2: 20}
    bench.read(1, 2)
    return bench


def of_the_future(bench: Bench, entry_key: bytes) -> bytes:
    """Let what stands under a key be in a format that this version does not know."""
    raw, expires = bench.store._entries[entry_key]
    raw = raw[:18] + FUTURE + raw[19:]
    raw = entries.checksum(entry_key, raw) + raw[4:]
    bench.store._entries[entry_key] = (raw, expires)
    return raw


def test_a_row_of_an_unknown_format_is_a_miss(bench: Bench) -> None:
    of_the_future(bench, bench.entry_key(1))

    assert bench.read(1, 2) == {1: 10, 2: 20}
    assert bench.loads == [[1]]
    assert CorruptEntry("row", bench.entry_key(1)) in bench.events
    assert bench.read(1) == {1: 10}
    assert bench.done == ["Read"]


def test_an_epoch_of_an_unknown_format_is_made_anew(bench: Bench) -> None:
    of_the_future(bench, bench.source.epoch_key)

    assert bench.read(1, 2) == {1: 10, 2: 20}
    assert bench.loads == [[1, 2]]
    bench.read(1, 2)
    assert bench.done == ["Read"]


def test_a_write_overwrites_an_epoch_of_an_unknown_format(bench: Bench) -> None:
    """So the epoch entry must stay readable for old code, or be under a key of its own."""
    future = of_the_future(bench, bench.source.epoch_key)

    bench.write(1, 11)

    raw = bench.store._entries[bench.source.epoch_key][0]
    assert raw != future
    epoch = entries.parse_epoch(bench.source.epoch_key, raw)
    assert epoch is not None
    assert epoch.schemas == ()
    assert bench.read(1) == {1: 11}


def test_a_row_of_an_unknown_format_does_not_outlive_a_write(bench: Bench) -> None:
    of_the_future(bench, bench.entry_key(1))

    bench.write(1, 11)

    assert bench.raw(1) is None
    assert bench.read(1) == {1: 11}
