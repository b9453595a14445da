"""Who is served while somebody refreshes, and what becomes of a claim that is sent twice."""

import pytest

from refcache.core.entries import ABSENT, VALUE, parse
from refcache.core.operations import Claim, Load
from refcache.core.pages import Mode
from refcache.core.sources import ABSENT as GONE
from tests.simulation.bench import Bench


@pytest.fixture
def bench() -> Bench:
    """The row 1 and the absence of 2 are stored, and fresh."""
    bench = Bench()
    bench.rows = {1: 10}
    bench.read(1, 2)
    return bench


@pytest.mark.parametrize(("key", "answer"), [(1, 10), (2, GONE)], ids=["value", "absence"])
def test_what_is_fresh_is_served_while_somebody_refreshes_it(
    bench: Bench, key: int, answer: object
) -> None:
    refresher = bench.reader(key, mode=Mode.REFRESH).before(Load)

    assert bench.read(key) == {key: answer}
    assert bench.done == ["Read"]
    refresher.finish()


@pytest.mark.parametrize(("key", "state"), [(1, VALUE), (2, ABSENT)], ids=["value", "absence"])
@pytest.mark.parametrize("mode", Mode, ids=lambda mode: mode.name)
@pytest.mark.parametrize("age", ["fresh", "stale", "unknown"])
def test_a_claim_that_is_repeated_keeps_its_leases(
    bench: Bench, key: int, state: bytes, mode: Mode, age: str
) -> None:
    if age == "unknown":
        bench.store._entries.pop(bench.entry_key(key))
    if age == "stale":
        bench.store._entries[bench.entry_key(key)] = (bench.raw(key) or b"", None)
        bench.now += 1_000_000
    bench.rows = {1: 11}
    reader = bench.reader(key, mode=mode).before(Claim)
    if reader.rows is not None:  # Fresh, and trusted.
        return

    bench.store.perform(reader.operation)  # its reply is lost
    bench.done = []
    reader.finish()

    assert "Wait" not in bench.done
    entry = parse(bench.entry_key(key), bench.raw(key))
    assert entry is not None
    assert (entry.state, entry.deadline) == (state, 0)
    assert bench.read(key) == reader.rows == {key: 11 if key == 1 else GONE}


def test_a_repeated_claim_over_a_tombstone_reads_the_primary() -> None:
    bench = Bench(grace=5.0)
    bench.rows = {1: 10}
    bench.read(1)
    bench.mark(b"writer 1", 1)
    bench.release(b"writer 1", 1)
    reader = bench.reader(1).before(Claim)

    bench.store.perform(reader.operation)
    reader.before(Load)

    (request,) = reader.operation.requests
    assert request.primary
    assert reader.finish() == {1: 10}
