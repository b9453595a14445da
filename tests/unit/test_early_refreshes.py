"""XFetch: a value is refreshed before its TTL ends, at random, and served fresh meanwhile."""

import math
from dataclasses import replace

import pytest

from refcache.core.drivers import run
from refcache.core.pages import Ask, Mode, horizon_ms
from refcache.core.protocol import answer
from tests.simulation.bench import Bench, windows

BETA = 1.0


@pytest.fixture
def bench() -> Bench:
    """A bench whose rows 1 and 2 are stored; to load them took 2 s."""
    bench = Bench(policy=windows(while_revalidate=60), early=BETA)
    bench.rows = {1: 10, 2: 20}
    bench.load_takes = 2.0
    bench.read(1, 2)
    bench.load_takes = 0.0
    return bench


def drawing(bench: Bench, seconds: float) -> None:
    """Let a page draw that what expires within *seconds* is refreshed."""
    bench.chance = 1 - math.exp(-seconds / (BETA * bench.source.pace.seconds))


def horizon(bench: Bench) -> int:
    return horizon_ms(bench.source, bench.policy, bench.terms)


def test_the_horizon_is_as_the_paper_says(bench: Bench) -> None:
    drawing(bench, 5.0)

    assert horizon(bench) == 5_000


def test_the_horizon_grows_with_what_a_load_takes(bench: Bench) -> None:
    bench.chance = 0.5
    before = horizon(bench)
    bench.source.pace.seconds *= 3

    assert horizon(bench) == pytest.approx(3 * before, abs=3)


def test_no_chance_gives_no_horizon(bench: Bench) -> None:
    bench.chance = 0.0

    assert horizon(bench) == 0


def test_without_while_revalidate_nothing_is_refreshed_early(bench: Bench) -> None:
    drawing(bench, 5.0)
    bench.policy = windows(if_error=60)

    assert horizon(bench) == 0


def test_without_a_measured_load_nothing_is_refreshed_early(bench: Bench) -> None:
    bench.chance = 0.9
    bench.source.pace.seconds = 0.0

    assert horizon(bench) == 0


def test_where_it_is_turned_off_nothing_is_refreshed_early() -> None:
    bench = Bench(policy=windows(while_revalidate=60), early=0.0)
    bench.source.pace.seconds = 2.0
    bench.chance = 0.9

    assert horizon(bench) == 0


def test_what_soon_expires_is_served_fresh_and_due(bench: Bench) -> None:
    bench.now += 296_000
    drawing(bench, 5.0)

    page = bench.page(1, 2)

    assert page.rows == {1: 10, 2: 20}
    assert bench.done == ["Read"]
    assert page.due == [1, 2]
    assert page.why == {}


def test_what_a_process_has_checked_before_is_due_as_well(bench: Bench) -> None:
    bench.read(1, 2)
    bench.now += 296_000
    drawing(bench, 5.0)

    assert bench.page(1, 2).due == [1, 2]


def test_what_expires_later_is_not_due(bench: Bench) -> None:
    bench.now += 290_000
    drawing(bench, 5.0)

    assert bench.page(1, 2).due == []


def test_a_page_draws_once_for_all_its_rows(bench: Bench) -> None:
    draws: list[float] = []

    def chance() -> float:
        draws.append(0.5)
        return 0.5

    bench.terms = replace(bench.terms, chance=chance)

    bench.read(1, 2)

    assert len(draws) == 1


def test_who_renews_does_not_draw_again(bench: Bench) -> None:
    bench.now += 296_000
    drawing(bench, 60.0)

    ask = Ask(bench.source, [1, 2], Mode.RENEW, bench.policy, horizon_ms=1_000)
    (page,) = run(answer([ask], bench.terms), bench.perform)

    assert page.loaded == set()


def test_a_load_of_some_keys_that_fails_is_no_measure(bench: Bench) -> None:
    bench.fails_for, bench.load_takes = {3}, 9.0

    bench.read(3, 4)

    assert bench.source.pace.seconds == pytest.approx(2.0)
