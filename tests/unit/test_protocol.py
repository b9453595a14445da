"""The protocol's rules, one schedule each, played by hand."""

import pytest

from refcache.core.entries import MARKER, parse
from refcache.core.events import CorruptEntry, FillRefused, StoreFailed
from refcache.core.operations import Claim, Fill, Load, Read, Wait
from refcache.core.pages import Mode
from refcache.core.sources import ABSENT, FAILED
from tests.simulation.bench import Bench

WRITER, OTHER_WRITER = b"writer 1", b"writer 2"


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.rows = {1: 10, 2: 20}
    return bench


# Warm and cold


def test_a_cold_page_takes_three_store_operations_and_one_load(bench: Bench) -> None:
    assert bench.read(1, 2) == {1: 10, 2: 20}
    assert bench.done == ["Read", "MayFill", "Claim", "Load", "Fill"]
    assert bench.loads == [[1, 2]]


def test_a_page_takes_one_read_when_warm(bench: Bench) -> None:
    bench.read(1, 2)

    assert bench.read(1, 2) == {1: 10, 2: 20}
    assert bench.done == ["Read"]


def test_a_known_absence_is_not_asked_again(bench: Bench) -> None:
    assert bench.read(3) == {3: ABSENT}

    assert bench.read(3) == {3: ABSENT}
    assert bench.done == ["Read"]


def test_only_what_is_missing_is_loaded(bench: Bench) -> None:
    bench.read(1)

    assert bench.read(1, 2) == {1: 10, 2: 20}
    assert bench.loads == [[2]]


def test_a_value_past_its_ttl_is_loaded_anew(bench: Bench) -> None:
    bench.read(1)
    bench.now += 300_001

    bench.read(1)

    assert bench.loads == [[1]]


def test_an_absence_is_forgotten_sooner(bench: Bench) -> None:
    bench.read(1, 3)
    bench.now += 30_001

    bench.read(1, 3)

    assert bench.loads == [[3]]


def test_no_keys_take_no_operation(bench: Bench) -> None:
    assert bench.read() == {}
    assert bench.done == []


# Leases


def test_a_row_that_another_loads_is_waited_for(bench: Bench) -> None:
    first = bench.reader(1).before(Load)
    second = bench.reader(1).before(Wait)

    assert first.finish() == {1: 10}
    assert second.finish() == {1: 10}
    assert bench.loads == [[1]]


def test_the_wait_for_another_is_bounded(bench: Bench) -> None:
    bench.reader(1).before(Load)
    start = bench.now

    assert bench.read(1) == {1: 10}
    assert 1_000 <= bench.now - start <= 1_050
    assert "Fill" not in bench.done


def test_a_lapsed_lease_is_taken_over(bench: Bench) -> None:
    first = bench.reader(1).before(Fill)
    bench.now += 10_001

    assert bench.read(1) == {1: 10}
    first.finish()
    assert [event for event in bench.events if isinstance(event, FillRefused)]


def test_a_failed_load_gives_its_leases_back(bench: Bench) -> None:
    bench.fails = True
    bench.read(1, 2)
    bench.fails = False

    assert bench.read(1, 2) == {1: 10, 2: 20}
    assert "Wait" not in bench.done


def test_who_may_not_fill_neither_claims_nor_fills(bench: Bench) -> None:
    bench.may_fill = False

    assert bench.read(1) == {1: 10}
    assert bench.done == ["Read", "MayFill", "Load"]


def test_who_may_not_fill_is_given_what_is_stored(bench: Bench) -> None:
    bench.read(1)
    bench.may_fill = False

    bench.read(1)

    assert bench.done == ["Read"]


# Writes


def test_a_marked_row_is_read_from_the_database_and_not_filled(bench: Bench) -> None:
    bench.read(1)
    bench.mark(WRITER, 1)
    bench.rows[1] = 11

    assert bench.read(1) == {1: 11}
    assert bench.done == ["Read", "Load"]


def test_other_rows_stay_warm_while_one_is_marked(bench: Bench) -> None:
    bench.read(1, 2)
    bench.mark(WRITER, 1)

    bench.read(2)

    assert bench.done == ["Read"]


def test_a_released_row_is_loaded_anew(bench: Bench) -> None:
    bench.read(1)
    bench.mark(WRITER, 1)
    bench.rows[1] = 11
    bench.release(WRITER, 1)

    assert bench.read(1) == {1: 11}
    assert bench.read(1) == {1: 11}
    assert bench.done == ["Read"]


def test_a_load_that_a_write_overtook_is_not_stored(bench: Bench) -> None:
    reader = bench.reader(1).before(Fill)
    bench.mark(WRITER, 1)
    bench.rows[1] = 11
    bench.release(WRITER, 1)

    assert reader.finish() == {1: 10}
    assert bench.read(1) == {1: 11}


def test_the_marker_stands_until_the_last_writer_is_out(bench: Bench) -> None:
    bench.read(1)
    bench.mark(WRITER, 1)
    bench.mark(OTHER_WRITER, 1)

    bench.release(WRITER, 1)

    entry = parse(bench.entry_key(1), bench.raw(1))
    assert entry is not None
    assert entry.state == MARKER


def test_a_dead_writers_marker_ends_after_the_write_timeout(bench: Bench) -> None:
    bench.read(1)
    bench.mark(WRITER, 1)
    bench.now += 60_001

    bench.read(1)
    bench.read(1)

    assert bench.done == ["Read"]


def test_a_mark_takes_one_round_trip_more_only_for_new_schemas(bench: Bench) -> None:
    bench.read(1)
    bench.done.clear()

    bench.mark(WRITER, 1)
    bench.release(WRITER, 1)

    assert bench.done == ["Mark", "Mark", "Release"]


# Modes


def test_a_refresh_loads_a_fresh_value_while_others_are_served_it(bench: Bench) -> None:
    bench.read(1)
    bench.rows[1] = 11
    refresher = bench.reader(1, mode=Mode.REFRESH).before(Load)

    assert bench.read(1) == {1: 10}
    assert refresher.finish() == {1: 11}
    assert bench.read(1) == {1: 11}


def test_a_reload_keeps_others_waiting(bench: Bench) -> None:
    bench.read(1)
    bench.rows[1] = 11
    reloader = bench.reader(1, mode=Mode.RELOAD).before(Load)
    other = bench.reader(1).before(Wait)

    assert reloader.finish() == {1: 11}
    assert other.finish() == {1: 11}


# The store fails


def test_without_a_store_the_database_answers(bench: Bench) -> None:
    bench.is_down = True

    assert bench.read(1, 3) == {1: 10, 3: ABSENT}
    assert bench.done == ["Read", "MayFill", "Load"]
    assert [type(event) for event in bench.events[:1]] == [StoreFailed]


@pytest.mark.parametrize("operation", [Read, Claim, Fill])
def test_a_store_that_fails_halfway_costs_nobody_the_answer(bench: Bench, operation: type) -> None:
    reader = bench.reader(1, 2).before(operation)
    bench.is_down = True

    assert reader.finish() == {1: 10, 2: 20}
    assert bench.loads == [[1, 2]]


def test_without_store_and_database_there_is_no_answer(bench: Bench) -> None:
    bench.is_down = bench.fails = True

    page = bench.page(1, 2)

    assert page.rows == {1: FAILED, 2: FAILED}
    assert list(page.failures) == [1, 2]


def test_corrupt_bytes_are_a_miss_for_their_key_alone(bench: Bench) -> None:
    bench.read(1, 2)
    bench.put(1, (bench.raw(1) or b"")[:-1])

    assert bench.read(1, 2) == {1: 10, 2: 20}
    assert bench.loads == [[1]]
    assert CorruptEntry("row", bench.entry_key(1)) in bench.events


# Replicas


def test_the_first_load_after_a_write_reads_the_primary() -> None:
    bench = Bench(grace=2.0)
    bench.rows = {1: 10}
    bench.read(1)
    bench.mark(WRITER, 1)
    bench.release(WRITER, 1)

    reader = bench.reader(1).before(Load)

    assert [request.primary for request in reader.operation.requests] == [True]


def test_after_the_grace_a_replica_will_do() -> None:
    bench = Bench(grace=2.0)
    bench.rows = {1: 10}
    bench.read(1)
    bench.mark(WRITER, 1)
    bench.release(WRITER, 1)
    bench.now += 2_001

    reader = bench.reader(1).before(Load)

    assert [request.primary for request in reader.operation.requests] == [False]
