"""Old values: in which window one is served, and what becomes of it in every mode of reading."""

from typing import Any

import pytest

from refcache.core.events import ServedStale
from refcache.core.operations import Load
from refcache.core.pages import Mode, Page
from refcache.core.reasons import Why
from refcache.core.sources import ABSENT, FAILED
from refcache.core.staleness import FRESH
from tests.simulation.bench import Bench, windows

WRITER = b"writer 1"


def stored(while_revalidate: float = 60, if_error: float = 3600, **limits: float) -> Bench:
    """A bench whose row 1, and the absence of 2, are stored; the database has newer rows."""
    bench = Bench(policy=windows(while_revalidate, if_error, **limits))
    bench.rows = {1: 10}
    bench.read(1, 2)
    bench.rows = {1: 11, 2: 21}  # Somebody has written without a word.
    return bench


@pytest.fixture
def bench() -> Bench:
    return stored()


ENTRIES = pytest.mark.parametrize(
    ("key", "old", "new", "ttl"),
    [(1, 10, 11, 300.0), (2, ABSENT, 21, 30.0)],
    ids=["value", "absence"],
)


# Within while_revalidate


@ENTRIES
@pytest.mark.parametrize("late_ms", [0, 59_999])
def test_within_while_revalidate_the_old_answer_is_served_at_once(
    bench: Bench, key: int, old: Any, new: Any, ttl: float, late_ms: int
) -> None:
    del new
    bench.pass_ttl(late_ms, ttl)

    page = bench.page(key)

    assert page.rows == {key: old}
    assert bench.done == ["Read"]
    assert page.due == [key]
    assert page.why == {key: Why.REVALIDATING}
    assert ServedStale("row", 1, str(Why.REVALIDATING)) in bench.events


@ENTRIES
def test_a_fresh_answer_is_not_due(bench: Bench, key: int, old: Any, new: Any, ttl: float) -> None:
    del new
    bench.pass_ttl(-1, ttl)

    page = bench.page(key)

    assert (page.rows, page.due, page.why) == ({key: old}, [], {})


@ENTRIES
def test_past_while_revalidate_it_is_loaded(
    bench: Bench, key: int, old: Any, new: Any, ttl: float
) -> None:
    del old
    bench.pass_ttl(60_000, ttl)

    page = bench.page(key)

    assert page.rows == {key: new}
    assert page.due == []
    assert bench.loads == [[key]]


def test_all_old_keys_of_a_page_are_due() -> None:
    bench = stored(while_revalidate=600)
    bench.pass_ttl()

    page = bench.page(1, 2)

    assert (page.rows, page.due) == ({1: 10, 2: ABSENT}, [1, 2])


def test_what_somebody_refreshes_is_served_and_not_due(bench: Bench) -> None:
    bench.pass_ttl()
    bench.reader(1, mode=Mode.RENEW).before(Load)

    page = bench.page(1)

    assert (page.rows, page.due) == ({1: 10}, [])


def test_a_refresh_that_was_given_up_is_due_again(bench: Bench) -> None:
    bench.pass_ttl()
    bench.reader(1, mode=Mode.RENEW).before(Load)
    bench.now += 10_000

    assert bench.page(1).due == [1]


# Within if_error


@ENTRIES
@pytest.mark.parametrize("late_ms", [60_000, 3_599_999])
def test_within_if_error_a_failed_load_gives_the_old_answer(
    bench: Bench, key: int, old: Any, new: Any, ttl: float, late_ms: int
) -> None:
    del new
    bench.pass_ttl(late_ms, ttl)
    bench.fails = True

    page = bench.page(key)

    assert page.rows == {key: old}
    assert page.why == {key: Why.LOAD_FAILED}
    assert page.failures == {}
    assert ServedStale("row", 1, str(Why.LOAD_FAILED)) in bench.events


@ENTRIES
def test_past_if_error_a_failed_load_gives_nothing(
    bench: Bench, key: int, old: Any, new: Any, ttl: float
) -> None:
    del old, new
    bench.pass_ttl(3_600_000, ttl)
    bench.fails = True

    page = bench.page(key)

    assert page.rows == {key: FAILED}
    assert str(page.failures[key]) == "the whole database"


def test_without_if_error_a_failed_load_gives_nothing() -> None:
    bench = stored(if_error=0)
    bench.pass_ttl(60_000)
    bench.fails = True

    assert bench.read(1) == {1: FAILED}


def test_within_if_error_alone_a_working_database_is_asked() -> None:
    bench = stored(while_revalidate=0)
    bench.pass_ttl()

    assert bench.read(1) == {1: 11}


def test_others_need_not_wait_where_a_load_has_failed(bench: Bench) -> None:
    bench.pass_ttl(60_000)
    bench.fails = True
    bench.read(1)

    bench.read(1)

    assert "Wait" not in bench.done


# Per call


@pytest.mark.parametrize("late_ms", [0, 9_999])
def test_max_stale_shortens_both_windows(bench: Bench, late_ms: int) -> None:
    bench.policy = bench.policy.capped(10)
    bench.pass_ttl(late_ms)

    assert bench.read(1) == {1: 10}


def test_past_max_stale_it_is_loaded_or_fails(bench: Bench) -> None:
    bench.policy = bench.policy.capped(10)
    bench.pass_ttl(10_000)
    bench.fails = True

    assert bench.read(1) == {1: FAILED}


def test_max_stale_0_takes_fresh_answers_alone(bench: Bench) -> None:
    bench.policy = bench.policy.capped(0)
    assert bench.read(1) == {1: 10}
    bench.pass_ttl()

    assert bench.read(1) == {1: 11}


def test_max_stale_cannot_lengthen_what_is_declared() -> None:
    declared = windows(while_revalidate=1, if_error=2)

    assert declared.capped(3600) == declared
    assert declared.capped(None) == declared


# Never across a write


def marked(bench: Bench) -> None:
    bench.mark(WRITER, 1)


def written(bench: Bench) -> None:
    bench.write(1, 12)


def invalidated(bench: Bench) -> None:
    bench.store._entries.pop(bench.source.epoch_key)


@pytest.mark.parametrize("late_ms", [0, 60_000], ids=["while_revalidate", "if_error"])
@pytest.mark.parametrize("happens", [marked, written, invalidated])
def test_no_old_value_outlives_a_write(late_ms: int, happens: Any) -> None:
    bench = stored()
    happens(bench)
    bench.pass_ttl(late_ms)
    bench.rows[1] = 13

    assert bench.read(1) == {1: 13}


@pytest.mark.parametrize("happens", [marked, written, invalidated])
def test_no_old_value_outlives_a_write_where_the_database_fails(happens: Any) -> None:
    bench = stored()
    bench.pass_ttl(60_000)
    happens(bench)
    bench.fails = True

    assert bench.read(1) == {1: FAILED}


def test_no_old_value_is_served_across_a_tombstone() -> None:
    bench = Bench(policy=windows(60, 3600), grace=5.0)
    bench.rows = {1: 10}
    bench.read(1)
    bench.pass_ttl()
    bench.write(1, 11)
    bench.fails = True

    assert bench.read(1) == {1: FAILED}


# Modes


def renewed(bench: Bench, *keys: int, horizon_ms: int = 0) -> Page:
    return bench.page(*keys, mode=Mode.RENEW, horizon_ms=horizon_ms)


def test_renewing_loads_what_is_old(bench: Bench) -> None:
    bench.pass_ttl()

    assert renewed(bench, 1).rows == {1: 11}
    assert bench.read(1) == {1: 11}
    assert bench.done == ["Read"]


@pytest.mark.parametrize(("horizon_ms", "loads"), [(999, []), (1_000, [[1]])])
def test_renewing_loads_what_is_old_within_the_horizon(
    bench: Bench, horizon_ms: int, loads: list[list[int]]
) -> None:
    bench.pass_ttl(-1_000)

    renewed(bench, 1, horizon_ms=horizon_ms)

    assert bench.loads == loads


def test_renewing_leaves_alone_what_stays_fresh(bench: Bench) -> None:
    assert renewed(bench, 1, 2).rows == {1: 10, 2: ABSENT}
    assert bench.done == ["Read"]


def test_renewing_leaves_alone_what_somebody_else_refreshes(bench: Bench) -> None:
    bench.pass_ttl()
    bench.reader(1, mode=Mode.RENEW).before(Load)

    renewed(bench, 1)

    assert bench.done == ["Read"]


def test_others_are_served_the_old_value_while_it_is_renewed(bench: Bench) -> None:
    bench.pass_ttl()
    refresher = bench.reader(1, mode=Mode.RENEW).before(Load)

    assert bench.read(1) == {1: 10}
    assert refresher.finish() == {1: 11}
    assert bench.read(1) == {1: 11}


def test_a_failed_renewal_gives_its_lease_back(bench: Bench) -> None:
    bench.pass_ttl()
    bench.fails = True
    renewed(bench, 1)

    assert (bench.page(1).rows, bench.page(1).due) == ({1: 10}, [1])


@pytest.mark.parametrize("mode", [Mode.REFRESH, Mode.RELOAD])
def test_who_asks_for_a_load_is_given_no_old_value(bench: Bench, mode: Mode) -> None:
    bench.fails = True

    assert bench.page(1, mode=mode).rows == {1: FAILED}


# What two readers of one row accept


def test_the_stricter_of_two_policies_holds() -> None:
    one = windows(60, 10, soft_timeout=0.1)
    other = windows(30, 100, soft_timeout=0.2, load_timeout=5)

    assert one.both(other) == other.both(one)
    assert one.both(other) == windows(30, 10, soft_timeout=0.1, load_timeout=5)
    assert one.both(FRESH) == windows(soft_timeout=0.1)
