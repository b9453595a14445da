"""Copies: what this process remembers shields the database while the store is down."""

import threading
from dataclasses import replace
from typing import Any

import pytest

from refcache.core.copies import Copies, Seen
from refcache.core.operations import Claim, Load
from refcache.core.pages import Mode
from refcache.core.reasons import Why
from refcache.core.sources import ABSENT, FAILED
from tests.simulation.bench import Bench, windows

WRITER = b"writer 1"


@pytest.fixture
def bench() -> Bench:
    """Row 1 was seen in the store just before that went down; the database has a newer one."""
    return down(warm(windows(while_revalidate=60, if_error=3600)))


def warm(policy: Any, most: int | None = None) -> Bench:
    bench = Bench(policy=policy)
    if most is not None:
        bench.terms = replace(bench.terms, copies=Copies(most))
    bench.rows = {1: 10, 2: 20}
    bench.read(1, 2)
    bench.read(1, 2)
    return bench


def down(bench: Bench) -> Bench:
    bench.is_left_alone = True
    bench.rows[1] = 11
    return bench


# What the store had


@pytest.mark.parametrize("later_ms", [0, 59_999])
def test_a_row_seen_before_the_outage_shields_the_database(bench: Bench, later_ms: int) -> None:
    bench.now += later_ms

    page = bench.page(1)

    assert page.rows == {1: 10}
    assert page.copied == {1: later_ms}
    assert page.why == {1: Why.STORE_DOWN}
    assert bench.loads == []


def test_a_copy_is_served_no_longer_than_while_revalidate(bench: Bench) -> None:
    bench.now += 60_000

    assert bench.read(1) == {1: 11}


def test_each_look_at_the_store_makes_a_row_known_anew() -> None:
    bench = warm(windows(while_revalidate=60))
    bench.now += 50_000
    bench.read(1)
    down(bench).now += 50_000

    assert bench.page(1).copied == {1: 50_000}


@pytest.mark.parametrize(("later_ms", "row"), [(60_000, 10), (3_599_999, 10), (3_600_000, FAILED)])
def test_past_it_a_copy_is_what_a_failed_load_gives(bench: Bench, later_ms: int, row: Any) -> None:
    bench.read(1)
    bench.now += later_ms
    bench.fails = True

    assert bench.read(1) == {1: row}


def test_a_copy_after_a_failed_load_says_why(bench: Bench) -> None:
    bench.read(1)
    bench.now += 60_000
    bench.fails = True

    page = bench.page(1)

    assert (page.why, page.copied) == ({1: Why.LOAD_FAILED}, {1: 60_000})


def test_where_nothing_old_is_tolerated_there_are_no_copies() -> None:
    bench = down(warm(windows()))

    assert bench.read(1) == {1: 11}
    assert bench.read(1) == {1: 11}
    assert bench.loads == [[1]]


def test_max_stale_holds_for_copies(bench: Bench) -> None:
    bench.policy = bench.policy.capped(10)
    bench.now += 10_000

    assert bench.read(1) == {1: 11}


def test_what_was_no_more_than_tolerated_is_not_copied() -> None:
    bench = warm(windows(while_revalidate=60))
    bench.pass_ttl(59_000)
    bench.read(1)
    down(bench)

    assert bench.read(1) == {1: 11}


@pytest.mark.parametrize("is_filled", [False, True], ids=["marked", "written"])
def test_what_others_have_written_is_not_copied(is_filled: bool) -> None:  # noqa: FBT001
    bench = warm(windows(while_revalidate=60))
    bench.mark(WRITER, 1)
    bench.rows[1] = 11
    if is_filled:
        bench.release(WRITER, 1)
    bench.read(1)
    bench.is_left_alone = True
    bench.rows[1] = 12

    assert bench.read(1) == {1: 12}


def test_a_row_that_was_deleted_is_not_copied() -> None:
    bench = warm(windows(while_revalidate=60))
    bench.mark(WRITER, 1)
    del bench.rows[1]
    bench.release(WRITER, 1)
    bench.read(1)
    bench.read(1)
    bench.is_left_alone = True

    assert bench.read(1) == {1: ABSENT}


def test_what_others_have_written_between_two_outages_ends_a_copy(bench: Bench) -> None:
    bench.read(1)
    bench.is_left_alone = False
    bench.write(1, 12)
    bench.read(1)
    bench.is_left_alone = True

    assert bench.read(1) == {1: 12}


def test_a_store_that_fails_halfway_has_told_of_a_write() -> None:
    bench = warm(windows(while_revalidate=60))
    bench.write(1, 11)
    reader = bench.reader(1).before(Claim)
    bench.is_left_alone = True

    assert reader.finish() == {1: 11}


def test_a_store_that_fails_but_once_is_no_reason_to_serve_a_copy() -> None:
    bench = warm(windows(while_revalidate=60, if_error=60))
    bench.is_down = True
    bench.rows[1] = 11
    assert bench.read(1) == {1: 11}

    bench.fails = True
    assert bench.page(2).copied == {2: 0}


# What was loaded during the outage


def test_a_load_during_the_outage_is_kept(bench: Bench) -> None:
    bench.rows[3] = 30
    bench.read(3, 4)

    page = bench.page(3, 4)

    assert page.rows == {3: 30, 4: ABSENT}
    assert bench.loads == []


def test_a_load_is_as_old_as_its_beginning(bench: Bench) -> None:
    bench.rows[3] = 30
    bench.load_takes = 50.0
    bench.read(3)
    bench.load_takes = 0.0
    bench.now += 10_000
    bench.rows[3] = 31

    assert bench.read(3) == {3: 31}


def test_rows_that_could_not_be_read_are_not_kept(bench: Bench) -> None:
    bench.rows[3] = 30
    bench.fails_for = {3}
    assert bench.read(3) == {3: FAILED}
    bench.fails_for = set()

    assert bench.read(3) == {3: 30}


def test_who_may_not_fill_keeps_nothing_for_others(bench: Bench) -> None:
    bench.may_fill, bench.rows[3] = False, 30
    bench.read(3)
    bench.may_fill, bench.rows[3] = True, 31

    assert bench.read(3) == {3: 31}


def test_who_may_not_fill_is_given_no_copy(bench: Bench) -> None:
    bench.may_fill = False

    assert bench.read(1) == {1: 11}


def test_when_the_store_is_back_copies_are_not_asked(bench: Bench) -> None:
    bench.read(1)
    bench.is_left_alone = False

    bench.read(1)

    assert bench.done == ["Read"]


# Own writes


def test_an_own_write_drops_the_copy(bench: Bench) -> None:
    bench.read(1, 2)
    bench.drop_copies(1)

    assert bench.page(1, 2).copied == {2: 0}


def test_a_write_of_all_drops_every_copy(bench: Bench) -> None:
    bench.read(1, 2)
    bench.drop_copies()

    assert bench.page(1, 2).copied == {}


def test_a_page_seen_before_an_own_write_is_not_copied(bench: Bench) -> None:
    bench.drop_copies(1)

    assert bench.page(1).copied == {}


def test_a_page_asked_for_before_an_own_write_is_not_copied() -> None:
    bench = warm(windows(while_revalidate=60))
    reader = bench.reader(1)
    writes = bench.terms.copies.writes(bench.source)
    bench.drop_copies(1)
    reader.finish()
    down(bench)

    assert bench.terms.copies.writes(bench.source) == writes + 1
    assert bench.read(1) == {1: 11}


@pytest.mark.parametrize("is_whole", [False, True], ids=["row", "all"])
def test_a_load_begun_before_an_own_write_is_not_kept(
    bench: Bench,
    is_whole: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    bench.rows[3] = 30
    reader = bench.reader(3).before(Load)

    bench.drop_copies(*(() if is_whole else (3,)))
    assert reader.finish() == {3: 30}

    bench.rows[3] = 31
    assert bench.read(3) == {3: 31}


def test_a_load_between_the_mark_and_the_release_does_not_outlive_the_write(bench: Bench) -> None:
    bench.rows[3] = 30
    bench.drop_copies(3)
    bench.read(3)
    bench.rows[3] = 31
    bench.drop_copies(3)

    assert bench.read(3) == {3: 31}


# Bounds


def test_with_copies_0_nothing_is_copied() -> None:
    bench = down(warm(windows(while_revalidate=60), most=0))

    assert bench.read(1) == {1: 11}
    assert bench.read(1) == {1: 11}
    assert bench.loads == [[1]]


def test_the_oldest_copies_go_first() -> None:
    bench = down(warm(windows(while_revalidate=60), most=2))
    for key in (3, 4, 5):
        bench.rows[key] = key
        bench.read(key)

    assert bench.page(3, 4, 5).copied == {4: 0, 5: 0}


def test_what_the_store_had_is_bounded_too() -> None:
    bench = warm(windows(while_revalidate=60), most=1)
    bench.is_left_alone = True

    assert len(bench.page(1, 2).copied) == 1


def test_a_page_is_noted_while_no_other_thread_takes_them(bench: Bench) -> None:
    copies = bench.terms.copies
    noting = threading.Thread(target=copies.seen, args=(bench.source, Seen((), (), {}, {}, 0, 0)))

    with copies._lock:
        noting.start()
        noting.join(0.05)
        assert noting.is_alive()

    noting.join(5)
    assert not noting.is_alive()


def test_a_source_without_shareable_rows_keeps_nothing(bench: Bench) -> None:
    bench.source = replace(bench.source, is_shareable=False)
    bench.rows[3] = 30
    bench.read(3)
    bench.rows[3] = 31

    assert bench.read(3) == {3: 31}


@pytest.mark.parametrize("mode", [Mode.REFRESH, Mode.RELOAD, Mode.RENEW])
def test_who_asks_for_a_load_is_given_no_copy(bench: Bench, mode: Mode) -> None:
    assert bench.read(1, mode=mode) == {1: 11}
