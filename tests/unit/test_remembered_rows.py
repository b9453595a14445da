"""Bytes that this process has checked before are not decoded again; that they stand is asked."""

from dataclasses import replace

import pytest

from refcache.core import entries, sources
from refcache.core.drivers import run
from refcache.core.entries import Entry
from refcache.core.events import CorruptEntry
from refcache.core.writes import Touched, release
from tests.simulation.bench import Bench
from tests.simulation.rows import FAMILY


class Counted(Bench):
    """Its rows can be shared; `decoded` lists the payloads that were decoded."""

    def __init__(self, *, is_shareable: bool = True) -> None:
        super().__init__()
        self.decoded: list[bytes] = []
        self.source = replace(self.source, decode=self.decode, is_shareable=is_shareable)

    def decode(self, payload: bytes) -> int:
        self.decoded.append(payload)
        return int(payload)

    def remembered(self) -> int:
        return len(self.source.memory._current[1])

    def read_decoding(self, *keys: int) -> tuple[dict[int, object], list[bytes]]:
        """The rows, and what had to be decoded for them."""
        self.decoded = []
        return self.read(*keys), self.decoded

    def new_epoch(self) -> None:
        touched = [Touched(FAMILY, (), whole=True)]
        run(release(touched, b"writer 1", self.terms, self.known), self.perform)


@pytest.fixture
def bench() -> Counted:
    """Two rows that were read twice, so that they are remembered."""
    bench = Counted()
    bench.rows = {1: 10, 2: 20}
    bench.read(1, 2)
    bench.read(1, 2)
    return bench


def test_what_was_checked_before_is_not_decoded_again(bench: Counted) -> None:
    assert bench.read_decoding(2, 1) == ({2: 20, 1: 10}, [])
    assert bench.done == ["Read"]


def test_what_callers_could_change_is_decoded_each_time() -> None:
    bench = Counted(is_shareable=False)
    bench.rows = {1: 10}
    bench.read(1)

    for _ in range(2):
        assert bench.read_decoding(1) == ({1: 10}, [b"10"])


def test_the_store_is_asked_before_anything_remembered_is_served(bench: Counted) -> None:
    bench.rows = {1: 11, 2: 20}
    bench.mark(b"writer 1", 1)

    assert bench.read(1, 2) == {1: 11, 2: 20}
    bench.release(b"writer 1", 1)
    assert bench.read(1, 2) == {1: 11, 2: 20}


def test_nothing_remembered_is_served_under_another_epoch(bench: Counted) -> None:
    bench.rows = {1: 11, 2: 21}
    bench.new_epoch()

    assert bench.read(1, 2) == {1: 11, 2: 21}


def test_bytes_of_an_older_epoch_that_come_back_are_not_served(bench: Counted) -> None:
    """As a Redis may that was restored from a dump."""
    old = {key: bench.raw(key) or b"" for key in (1, 2)}
    bench.rows = {1: 11, 2: 21}
    bench.new_epoch()
    bench.read(1, 2)
    for key, raw in old.items():
        bench.put(key, raw)

    assert bench.read(1, 2) == {1: 11, 2: 21}


def test_nothing_remembered_is_served_past_its_time(bench: Counted) -> None:
    for key in (1, 2):
        bench.put(key, bench.raw(key) or b"")  # for ever, as nothing guarantees that it expires
    bench.rows = {1: 11, 2: 21}
    entry = entries.unpack(bench.raw(1) or b"")

    bench.now = entry.until - 1
    assert bench.read(1, 2) == {1: 10, 2: 20}
    bench.now = entry.until
    assert bench.read(1, 2) == {1: 11, 2: 21}


def test_the_time_of_each_row_counts(bench: Counted) -> None:
    bench.now += 200_000
    bench.mark(b"writer 1", 2)
    bench.release(b"writer 1", 2)
    for _ in range(2):
        bench.read(1, 2)
    for key in (1, 2):
        bench.put(key, bench.raw(key) or b"")  # for ever
    bench.rows = {1: 11, 2: 22}

    bench.now += 100_000

    assert bench.read(2, 1) == {1: 11, 2: 20}


def test_bytes_that_have_changed_are_decoded(bench: Counted) -> None:
    entry = entries.unpack(bench.raw(1) or b"")
    bench.put(1, entries.pack(bench.entry_key(1), entry._replace(body=b"99")))

    assert bench.read(1, 2) == {1: 99, 2: 20}
    assert bench.read_decoding(1, 2) == ({1: 99, 2: 20}, [])


@pytest.mark.parametrize("at", [0, 20, 44])
def test_bytes_that_are_damaged_are_loaded_anew(bench: Counted, at: int) -> None:
    raw = bench.raw(1) or b""
    bench.put(1, raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])

    assert bench.read(1, 2) == {1: 10, 2: 20}
    assert bench.loads == [[1]]


def test_one_rows_bytes_under_the_key_of_another_are_corrupt(bench: Counted) -> None:
    bench.put(1, bench.raw(2) or b"")

    assert bench.read(1, 2) == {1: 10, 2: 20}
    assert bench.loads == [[1]]
    assert CorruptEntry("row", bench.entry_key(1)) in bench.events


def test_a_row_that_became_an_absence_is_absent(bench: Counted) -> None:
    found = entries.unpack(bench.raw(1) or b"")
    absent = Entry(entries.ABSENT, epoch=found.epoch, at=found.at, until=found.until)
    bench.put(1, entries.pack(bench.entry_key(1), absent))

    assert bench.read(1) == {1: sources.ABSENT}


def test_a_page_that_is_known_but_for_one_row_is_answered(bench: Counted) -> None:
    bench.rows[3] = 30

    assert bench.read(1, 3, 2) == {1: 10, 2: 20, 3: 30}


def test_what_is_remembered_is_bounded() -> None:
    bench = Counted()
    keys = list(range(sources.MOST_CHECKED + 1_000))
    bench.rows = {key: key for key in keys}
    for start in range(0, len(keys), 500):
        page = keys[start : start + 500]
        bench.read(*page)
        bench.read(*page)
        assert bench.remembered() <= sources.MOST_CHECKED

    assert bench.remembered() > 0


def test_one_long_page_is_bounded_too() -> None:
    bench = Counted()
    keys = list(range(sources.MOST_CHECKED + 1_000))
    bench.rows = {key: key for key in keys}
    bench.read(*keys)

    assert bench.read(*keys) == bench.rows
    assert bench.remembered() <= sources.MOST_CHECKED
    assert bench.read(*keys) == bench.rows


def test_another_epoch_forgets_what_was_remembered(bench: Counted) -> None:
    assert bench.remembered() == 2
    bench.new_epoch()
    bench.read(1)
    bench.read(1)

    assert bench.remembered() == 1
