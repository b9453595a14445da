"""An old value is within its window when it is served, not when it was found."""

import pytest

from refcache.core.operations import Load
from refcache.core.sources import FAILED
from refcache.core.staleness import Policy
from tests.simulation.bench import Bench

IF_ERROR, PAST_TTL = 5.0, 1.0  # seconds


@pytest.fixture
def bench() -> Bench:
    """Row 1 is stored, and is past its TTL."""
    bench = Bench(policy=Policy(if_error_ms=round(1000 * IF_ERROR)))
    bench.rows = {1: 10}
    bench.read(1)
    bench.pass_ttl(by_ms=round(1000 * PAST_TTL))
    bench.fails_for = {1}
    return bench


@pytest.mark.parametrize(("load_takes", "answer"), [(3.9, 10), (4.0, FAILED), (60.0, FAILED)])
def test_a_load_that_fails_late_leaves_nothing_that_is_too_old(
    bench: Bench, load_takes: float, answer: object
) -> None:
    bench.load_takes = load_takes

    assert bench.read(1) == {1: answer}


def test_the_age_grows_while_the_load_is_waited_for(bench: Bench) -> None:
    bench.load_takes = 2.0

    assert bench.page(1).delays == {1: 2000}


def test_leased_and_marked_rows_share_the_time_for_loads() -> None:
    bench = Bench(policy=Policy(load_timeout=1.0))
    bench.rows = {1: 10, 2: 20}
    bench.read(2)
    bench.mark(b"a writer", 2)
    begun, bench.load_takes = bench.now, 0.9

    bench.read(1, 2)

    assert bench.now - begun <= 1100


def test_where_loads_fail_nobody_with_an_old_value_waits_for_anothers(bench: Bench) -> None:
    bench.read(1)
    bench.reader(1).before(Load)

    assert bench.read(1) == {1: 10}
    assert "Wait" not in bench.done


def test_where_loads_succeed_anothers_is_waited_for(bench: Bench) -> None:
    bench.reader(1).before(Load)

    bench.read(1)

    assert "Wait" in bench.done
