"""Slow loads: until when one is waited for, what is given then, and what becomes of it."""

from typing import Any

import pytest

from refcache.core.events import NotLoaded, ServedStale
from refcache.core.exceptions import LoadTimedOut
from refcache.core.operations import Claim, Load
from refcache.core.reasons import Why
from refcache.core.sources import FAILED
from tests.simulation.bench import Bench, windows

SOFT, HARD = 0.2, 2.0  # seconds


@pytest.fixture
def bench() -> Bench:
    """Row 1 is old, and tolerated where the database fails; 2 is in the database alone."""
    bench = Bench(policy=windows(if_error=3600, soft_timeout=SOFT, load_timeout=HARD))
    bench.rows = {1: 10}
    bench.read(1)
    bench.rows = {1: 11, 2: 20}
    bench.pass_ttl()
    return bench


def took_ms(bench: Bench, *keys: int) -> int:
    start = bench.now
    bench.read(*keys)
    return bench.now - start


# One's own load


def test_a_load_in_time_gives_the_new_rows(bench: Bench) -> None:
    bench.load_takes = SOFT

    assert bench.read(1) == {1: 11}
    assert bench.done == ["Read", "MayFill", "Claim", "Detach", "Load", "Fill"]


def test_where_all_have_an_old_value_the_soft_limit_holds(bench: Bench) -> None:
    bench.load_takes = SOFT + 0.001

    assert took_ms(bench, 1) == 1000 * SOFT
    page = bench.page(1)

    assert page.rows == {1: 10}
    assert page.why == {1: Why.LOAD_SLOW}
    assert ServedStale("row", 1, str(Why.LOAD_SLOW)) in bench.events


def test_where_one_has_none_the_load_limit_holds(bench: Bench) -> None:
    bench.load_takes = HARD

    assert bench.read(1, 2) == {1: 11, 2: 20}


def test_past_the_load_limit_there_are_old_values_or_none(bench: Bench) -> None:
    bench.load_takes = HARD + 0.001

    page = bench.page(1, 2)

    assert page.rows == {1: 10, 2: FAILED}
    assert page.why[1] is Why.LOAD_SLOW
    assert isinstance(page.failures[2], LoadTimedOut)
    assert [event.keys for event in bench.events if isinstance(event, NotLoaded)] == [1]


def test_the_soft_limit_alone_does_not_fail_anybody(bench: Bench) -> None:
    bench.policy = windows(if_error=3600, soft_timeout=SOFT)
    bench.load_takes = 60.0

    assert bench.read(1, 2) == {1: 11, 2: 20}


def test_without_a_limit_a_load_is_not_performed_beside(bench: Bench) -> None:
    bench.policy = windows(if_error=3600)

    bench.read(1, 2)

    assert "Detach" not in bench.done


# What becomes of it


def test_what_has_begun_goes_on_and_fills(bench: Bench) -> None:
    bench.load_takes = HARD + 1
    bench.read(1, 2)
    assert "Fill" not in bench.done

    bench.finish_loads()

    bench.load_takes = 0.0
    assert bench.read(1, 2) == {1: 11, 2: 20}
    assert bench.done == ["Read"]


def test_what_goes_on_is_not_filled_over_a_write(bench: Bench) -> None:
    bench.load_takes = HARD + 1
    bench.read(2)
    bench.write(2, 21)
    bench.rows[2] = 20  # as the load, which has begun before, saw it
    bench.finish_loads()

    bench.rows[2], bench.load_takes = 21, 0.0

    assert bench.read(2) == {2: 21}


def test_what_has_not_begun_gives_its_leases_back(bench: Bench) -> None:
    bench.has_room = False
    assert bench.read(1, 2) == {1: 10, 2: FAILED}
    assert "Fill" in bench.done
    bench.has_room = True

    assert bench.read(1, 2) == {1: 11, 2: 20}
    assert "Wait" not in bench.done


def test_what_timed_out_is_no_measure_of_loads(bench: Bench) -> None:
    before = bench.source.pace.seconds
    bench.load_takes = HARD + 1

    bench.read(1, 2)

    assert bench.source.pace.seconds == before


# Another's load


def test_anothers_load_is_waited_for_up_to_the_soft_limit(bench: Bench) -> None:
    bench.reader(1).before(Claim).step()
    start = bench.now

    page = bench.page(1)

    assert page.rows == {1: 10}
    assert page.why == {1: Why.LOAD_SLOW}
    assert 1000 * SOFT <= bench.now - start <= 1000 * SOFT + 50
    assert bench.loads == []


def test_anothers_load_is_waited_for_up_to_the_load_limit(bench: Bench) -> None:
    bench.policy = windows(load_timeout=0.5)
    bench.reader(2).before(Claim).step()
    start = bench.now

    page = bench.page(2)

    assert page.rows == {2: FAILED}
    assert isinstance(page.failures[2], LoadTimedOut)
    assert 500 <= bench.now - start <= 550


def test_what_was_waited_for_another_is_missing_for_ones_own_load(bench: Bench) -> None:
    bench.reader(2).before(Claim).step()
    bench.load_takes = HARD - bench.terms.lease_wait

    assert bench.read(2) == {2: FAILED}
    bench.load_takes -= 0.1

    assert bench.read(2) == {2: 20}


def test_without_an_old_value_the_soft_limit_is_none(bench: Bench) -> None:
    bench.reader(2).before(Claim).step()

    assert bench.read(2) == {2: 20}


# Without the store, or in a transaction


def test_without_the_store_the_limit_holds_as_well(bench: Bench) -> None:
    bench.is_down = True
    bench.load_takes = HARD + 0.001

    page = bench.page(2)

    assert page.rows == {2: FAILED}
    assert isinstance(page.failures[2], LoadTimedOut)


def test_who_may_not_fill_loads_in_its_own_place(bench: Bench) -> None:
    bench.may_fill = False

    assert bench.read(2) == {2: 20}
    assert "Detach" not in bench.done


def operations(bench: Bench, *keys: int) -> list[Any]:
    """The loads that a reader asks for, and what it does so beside itself."""
    reader, seen = bench.reader(*keys), []
    while reader.rows is None:
        if isinstance(reader.operation, Load):
            seen.append(reader.operation)
        reader.step()
    return seen


def test_what_is_being_written_is_loaded_within_the_limit(bench: Bench) -> None:
    bench.mark(b"writer 1", 2)

    (load,) = operations(bench, 2)

    assert load.is_shared
    assert load.seconds == HARD
