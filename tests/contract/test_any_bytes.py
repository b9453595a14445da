"""Whatever stands in the store, a read gives the right row and never an exception."""

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from refcache.core import entries
from refcache.core.entries import Entry, Epoch, Schema, Token
from refcache.core.exceptions import StoreUnavailable
from refcache.core.operations import Operation
from refcache.tiers.redis_store import RedisStore
from tests.conftest import FULL
from tests.simulation.bench import Bench
from tests.simulation.rows import NOW

EXAMPLES = 10_000 if FULL else 400

ids, tokens = st.binary(min_size=12, max_size=12), st.binary(min_size=8, max_size=8)
times = st.sampled_from([0, NOW - 1, NOW + 1, NOW + 10_000, 2**48 - 1]) | st.integers(0, 2**48 - 1)
states = st.sampled_from([bytes([state]) for state in entries.STATES])
heads = st.builds(
    Entry,
    states,
    tokens,
    times,
    ids,
    times,
    times,
    st.binary(max_size=80) | st.integers(7_900, 8_100).map(lambda size: b"x" * size),
)
epochs = st.builds(
    Epoch,
    ids,
    st.lists(st.builds(Schema, ids, times, times), max_size=3).map(tuple),
    st.lists(st.builds(Token, tokens, times, st.sampled_from([b"r", b"e"])), max_size=3).map(tuple),
    times,
)


def _unchecked(entry: Entry) -> bytes:
    """As another key's entry: its checksum is wrong here."""
    return entries.pack(b"another key", entry)


anything = st.binary(max_size=120) | heads.map(_unchecked)


def _bench() -> Bench:
    bench = Bench()
    bench.rows = {1: 10, 2: 20}
    return bench


@settings(max_examples=EXAMPLES)
@given(row=anything, epoch=anything, is_warm=st.booleans())
def test_any_bytes_give_the_right_row(row: bytes, epoch: bytes, is_warm: bool) -> None:  # noqa: FBT001
    bench = _bench()
    if is_warm:
        bench.read(1, 2)
    bench.put(1, row)
    if not is_warm:
        bench.store._entries[bench.source.epoch_key] = (epoch, None)

    assert bench.read(1, 2) == {1: 10, 2: 20}
    assert bench.read(1, 2) == {1: 10, 2: 20}


@settings(max_examples=EXAMPLES)
@given(entry=heads.filter(lambda e: e.state not in (b"V", b"A")), epoch=epochs)
def test_any_entry_of_ours_gives_the_right_row(entry: Entry, epoch: Epoch) -> None:
    bench = _bench()
    bench.put(1, entries.pack(bench.entry_key(1), entry))
    epoch_key = bench.source.epoch_key
    bench.store._entries[epoch_key] = (entries.pack_epoch(epoch_key, epoch, NOW), None)

    assert bench.read(1, 2) == {1: 10, 2: 20}


@settings(max_examples=EXAMPLES)
@given(at=st.integers(0, entries.HEADER), change=st.binary(min_size=1, max_size=6))
def test_any_change_of_a_value_gives_the_right_row(at: int, change: bytes) -> None:
    bench = _bench()
    bench.read(1, 2)
    raw = bench.raw(1) or b""
    bench.put(1, raw[:at] + change + raw[at + len(change) :])

    assert bench.read(1, 2) == {1: 10, 2: 20}


@pytest.mark.parametrize("place", ["the row", "the epoch"])
def test_any_bytes_in_redis_give_the_right_row(client: redis.Redis, place: str) -> None:
    key = _bench().entry_key(1) if place == "the row" else _bench().source.epoch_key

    @settings(max_examples=EXAMPLES if FULL else 100, suppress_health_check=[HealthCheck.too_slow])
    @given(raw=anything)
    def read_over(raw: bytes) -> None:
        client.flushall()
        client.set(key, raw)
        bench = _bench()
        bench.store = _Trusting(RedisStore(client))  # type: ignore[assignment]  # it performs
        assert bench.read(1, 2) == {1: 10, 2: 20}
        assert bench.read(1, 2) == {1: 10, 2: 20}
        assert "Load" not in bench.done, "what was unreadable was not replaced"

    read_over()


class _Trusting:
    """A store whose outages fail the test: bytes are no reason for one."""

    def __init__(self, store: RedisStore) -> None:
        self._store = store

    def perform(self, operation: Operation) -> object:
        try:
            return self._store.perform(operation)
        except StoreUnavailable as exc:
            raise AssertionError(f"{operation!r} failed") from exc
