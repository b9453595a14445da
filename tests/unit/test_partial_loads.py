"""Loads that fail for some keys: the others are answered and stored."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from refcache.core.composition import Wanted, resolve
from refcache.core.drivers import run
from refcache.core.events import NotLoaded
from refcache.core.operations import Load, Loaded
from refcache.core.reasons import Tier, Why
from refcache.core.sources import FAILED
from refcache.core.staleness import Policy
from tests.simulation.bench import Bench, Broken, windows
from tests.simulation.town import COMPANIES, NAMES, PEOPLE, VIEWS, Company, Person, Town


@pytest.fixture
def bench() -> Bench:
    bench = Bench(policy=windows(if_error=3600))
    bench.rows = {1: 10, 2: 20, 3: 30}
    return bench


# One source


def test_the_keys_that_could_be_read_are_answered(bench: Bench) -> None:
    bench.fails_for = {2}

    page = bench.page(1, 2, 3)

    assert page.rows == {1: 10, 2: FAILED, 3: 30}
    assert list(page.failures) == [2]
    assert isinstance(page.failures[2], Broken)
    assert NotLoaded("row", 1, "2") in bench.events


def test_the_keys_that_could_be_read_are_stored(bench: Bench) -> None:
    bench.fails_for = {2}
    page = bench.page(1, 2, 3)
    assert page.filled == 2

    bench.fails_for = set()

    assert bench.read(1, 2, 3) == {1: 10, 2: 20, 3: 30}
    assert bench.loads == [[2]]


def test_the_leases_of_the_others_are_given_back(bench: Bench) -> None:
    bench.fails_for = {2}
    bench.read(1, 2, 3)

    bench.read(2)

    assert "Wait" not in bench.done


def test_what_could_not_be_read_is_not_remembered_as_absent(bench: Bench) -> None:
    bench.fails_for = {9}

    assert bench.read(9) == {9: FAILED}
    assert bench.raw(9) is None


def test_an_old_value_stands_for_what_could_not_be_read(bench: Bench) -> None:
    bench.read(1, 2)
    bench.pass_ttl()
    bench.rows = {1: 11, 2: 21, 3: 31}
    bench.fails_for = {2, 3}

    page = bench.page(1, 2, 3)

    assert page.rows == {1: 11, 2: 20, 3: FAILED}
    assert page.why == {1: Why.MISS, 2: Why.LOAD_FAILED, 3: Why.MISS}


# Rows that span others, and other keys


class Street(NamedTuple):
    """A town whose database fails for some places: (table or index, key)."""

    bench: Bench
    town: Town
    broken: set[tuple[str, Any]]

    def look(self, kind: str, *keys: Any) -> Any:
        wanted = [Wanted(VIEWS[0].node(kind), keys, self.bench.policy)]
        return run(resolve(wanted, self.bench.terms), self.perform)[0]

    def perform(self, operation: Any) -> Any:
        if isinstance(operation, Load):
            return self._load(operation)
        return self.bench.perform(operation)

    def _load(self, load: Load) -> Loaded:
        asked = [(each.source.origin, each.keys) for each in load.requests]
        failures: list[dict[Any, Exception]] = [
            {key: Broken(key) for key in keys if (origin, key) in self.broken}
            for origin, keys in asked
        ]
        rows = [
            self.town.load(origin, [key for key in keys if key not in failed])
            for (origin, keys), failed in zip(asked, failures, strict=True)
        ]
        return Loaded(rows, [True] * len(rows), failures)


@pytest.fixture
def street() -> Iterator[Street]:
    people = [Person(1, "ann", 1), Person(2, "bob", 2), Person(3, "cem", None)]
    companies = [Company(1, "Acme"), Company(2, "Best")]
    bench = Bench(policy=Policy())
    yield Street(bench, Town([*people, *companies]), set())
    for view in VIEWS:  # They are everybody's.
        for node in view:
            node.rows.memory._current = (b"", {})


def test_a_row_whose_spanned_row_fails_is_unavailable(street: Street) -> None:
    street.broken.add((COMPANIES, 2))

    found = street.look(PEOPLE, 1, 2, 3)

    assert found.compose(1) == (1, "ann", "Acme")
    assert found.compose(2) is FAILED
    assert found.compose(3) == (3, "cem", None)


def test_its_own_row_is_stored_all_the_same(street: Street) -> None:
    street.broken.add((COMPANIES, 2))
    street.look(PEOPLE, 2)
    street.broken.clear()
    street.broken.add((PEOPLE, 2))

    assert street.look(PEOPLE, 2).compose(2) == (2, "bob", "Best")


def test_a_key_whose_index_fails_is_unavailable(street: Street) -> None:
    street.broken.add((NAMES, "bob"))

    found = street.look(NAMES, "ann", "bob", "nobody")

    assert found.compose("ann") == (1, "ann", "Acme")
    assert found.compose("bob") is FAILED
    assert found.rows["nobody"].name == "ABSENT"


def test_a_key_whose_row_fails_is_unavailable_and_not_absent(street: Street) -> None:
    street.broken.add((PEOPLE, 2))

    found = street.look(NAMES, "ann", "bob")

    assert found.compose("ann") == (1, "ann", "Acme")
    assert found.compose("bob") is FAILED


def test_the_traces_of_an_answer_are_those_of_its_parts(street: Street) -> None:
    street.look(PEOPLE, 1)
    street.bench.now += 1_500

    traces = list(street.look(NAMES, "ann").traces("ann"))

    assert [(trace.tier, trace.age_ms, trace.why) for trace in traces] == [
        (Tier.DATABASE, 0, Why.MISS),
        (Tier.REDIS, 1_500, Why.FRESH),
        (Tier.REDIS, 1_500, Why.FRESH),
    ]


def test_two_readers_of_one_row_are_given_what_both_accept(street: Street) -> None:
    street.look(COMPANIES, 1)
    street.bench.now += 300_000
    lenient = Wanted(VIEWS[0].companies, [1], windows(while_revalidate=60))
    strict = Wanted(VIEWS[0].companies, [1], Policy())

    alone = run(resolve([lenient], street.bench.terms), street.perform)[0]
    both = run(resolve([lenient, strict], street.bench.terms), street.perform)[0]

    assert [trace.why for trace in alone.traces(1)] == [Why.REVALIDATING]
    assert [(trace.tier, trace.why) for trace in both.traces(1)] == [(Tier.DATABASE, Why.MISS)]
