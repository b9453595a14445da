"""Tens of tasks in a random order, with random accidents: what is read was committed meanwhile."""

import os

import pytest

from refcache.core import claims, loading, writes
from refcache.core.pages import Mode
from tests.conftest import FULL
from tests.simulation.accidents import CALM
from tests.simulation.actors import Actor, Reader
from tests.simulation.simulator import Simulator
from tests.simulation.town import COMPANIES, NAMES, PEOPLE, VIEWS

ASKED = os.environ.get("REFCACHE_SEED")
SEEDS = 10_000 if FULL else 400
CHUNK = 100  # seeds of one test
CHUNKS = [range(start, start + CHUNK) for start in range(0, SEEDS, CHUNK)]
if ASKED is not None:
    CHUNKS = [range(int(ASKED), int(ASKED) + 1)]


def _name(seeds: range) -> str:
    return f"{seeds[0]}-{seeds[-1]}"


@pytest.mark.parametrize("seeds", CHUNKS, ids=_name)
def test_what_is_read_was_committed_between_start_and_end(seeds: range) -> None:
    for seed in seeds:
        Simulator(seed).run()


@pytest.mark.parametrize("seeds", CHUNKS[:1], ids=_name)
def test_it_holds_where_every_call_is_cut_into_small_ones(
    seeds: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (claims, loading, writes):
        monkeypatch.setattr(module, "SCRIPT_KEYS", 2)

    for seed in seeds:
        Simulator(seed).run()


@pytest.mark.parametrize("seed", range(20))
def test_many_cold_readers_load_each_row_once(seed: int) -> None:
    keys = [(PEOPLE, (1, 2, 3, 4)), (NAMES, ("ann", "bob", "nobody")), (COMPANIES, (1, 2))]
    cast: list[Actor] = [Reader(VIEWS[0], keys, Mode.TRUST) for _ in range(20)]
    simulator = Simulator(seed, luck=CALM, cast=cast)

    while simulator.waiting_to_come or simulator.tasks:
        simulator.step()

    loaded = [(origin, key) for origin, keys in simulator.loads for key in keys]
    assert len(loaded) == len(set(loaded))
