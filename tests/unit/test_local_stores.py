"""Stores for development: one keeps entries while they live, one keeps nothing."""

import asyncio
from typing import Any

import pytest

from refcache.conf import conf
from refcache.connections import place_of
from refcache.core.operations import (
    Claim,
    ClaimGroup,
    Fill,
    FillItem,
    Grant,
    Mark,
    Operation,
    Read,
    Release,
    WriteGroup,
    Written,
)
from refcache.tiers import memory
from refcache.tiers.memory import MemoryStore
from refcache.tiers.null import NullStore
from tests.simulation.bench import Bench

EPOCH, SCHEMA, TOKEN, ID = b"c:epoch", b"schema 1....", b"my token", b"an epoch...."
TIMEOUT_MS = 60_000
BATCH = 500


def mark(store: MemoryStore, first: int) -> None:
    keys = [b"c:1:aaaaaaaa:%d" % number for number in range(first, first + BATCH)]
    groups = [WriteGroup(EPOCH, (), keys)]
    store.perform(Mark(groups, TOKEN, ID, TIMEOUT_MS))


def test_entries_that_have_expired_are_forgotten_though_nobody_asks_for_them() -> None:
    now = [1_000_000]
    store = MemoryStore(lambda: now[0])
    for batch in range(10 * memory.SWEEP_AFTER // BATCH):
        mark(store, batch * BATCH)
        now[0] += TIMEOUT_MS + 1

    assert len(store._entries) <= memory.SWEEP_AFTER + BATCH


def test_entries_that_live_are_kept_however_many() -> None:
    store = MemoryStore(lambda: 1_000_000)
    batches = 2 * memory.SWEEP_AFTER // BATCH
    for batch in range(batches):
        mark(store, batch * BATCH)

    assert len(store._entries) == batches * BATCH + 1  # the epoch


# No store


KEY = b"c:1:aaaaaaaa:1"
OPERATIONS: list[tuple[Operation, Any]] = [
    (Read([EPOCH, KEY]), [None, None]),
    (Claim([ClaimGroup(EPOCH, SCHEMA, [KEY], 1_000)], TOKEN, ID, 1_000, {}), [[Grant.REFUSED]]),
    (Fill(TOKEN, [FillItem(KEY, b"raw", 1_000)]), [False]),
    (Mark([WriteGroup(EPOCH, (), [KEY])], TOKEN, ID, 1_000), None),
    (Release([WriteGroup(EPOCH, (), [KEY])], TOKEN, ID), None),
]


def said(reply: Any) -> Any:
    """What the reply says beside its time."""
    if isinstance(reply, Written):
        return reply.outdated
    (answer,) = [
        value for name, value in reply._asdict().items() if name in ("raws", "replies", "stored")
    ]
    return answer


@pytest.mark.parametrize(("operation", "answer"), OPERATIONS)
def test_a_dummy_keeps_nothing(operation: Operation, answer: Any) -> None:
    store = NullStore()

    assert said(store.perform(operation)) == answer
    assert said(asyncio.run(store.aperform(operation))) == answer


def test_the_dummy_cache_is_a_store_that_keeps_nothing(settings: Any) -> None:
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}

    assert isinstance(place_of(conf()).store, NullStore)


def test_every_read_with_a_dummy_is_one_load_and_no_wait() -> None:
    bench = Bench()
    bench.rows = {1: 10}
    bench.store = NullStore()  # type: ignore[assignment]  # it performs

    for _ in range(2):
        assert bench.read(1) == {1: 10}
        assert bench.loads == [[1]]
        assert not {"Wait", "Fill"} & set(bench.done)
