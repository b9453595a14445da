"""Threads and event loops that share loads, as the drivers run them."""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest

from refcache.core.drivers import arun, run
from refcache.core.operations import Load, Loaded, LoadRequest, Operation, Turn
from refcache.reading.sharing import Sharing
from tests.unit.sharing_callers import CUSTOMERS, Rows, is_free

LIMIT = 30.0  # seconds, for a loaded machine
THREADS = 50
ROUNDS = 20


class Database:
    """Answers each load with its number; calls *during* while it loads."""

    def __init__(self, during: Callable[[int], None] = lambda _: None) -> None:
        self.loads: list[list[Hashable]] = []
        self.most_at_once = 0
        self.waits = threading.Semaphore(0)  # one for each caller that has begun to wait
        self._during = during
        self._numbers = count()
        self._at_once: Counter[Hashable] = Counter()
        self._lock = threading.Lock()

    def perform(self, operation: Operation) -> Any:
        if isinstance(operation, Turn):
            self.waits.release()
            return operation.future.result(operation.seconds)
        assert isinstance(operation, Load)
        return self._load(operation)

    async def aperform(self, operation: Operation) -> Any:
        if isinstance(operation, Turn):
            self.waits.release()
            future = asyncio.wrap_future(operation.future)
            return await asyncio.wait_for(future, operation.seconds)
        assert isinstance(operation, Load)
        return await asyncio.to_thread(self._load, operation)

    def _load(self, operation: Load) -> Loaded:
        (request,) = operation.requests
        with self._counted(request.keys):
            number = next(self._numbers)
            self.loads.append(list(request.keys))
            self._during(number)
        return Loaded([{key: (key, number) for key in request.keys}], [True], [{}])

    @contextmanager
    def _counted(self, keys: Sequence[Hashable]) -> Iterator[None]:
        with self._lock:
            self._at_once.update(keys)
            self.most_at_once = max(self.most_at_once, *self._at_once.values())
        yield
        with self._lock:
            self._at_once.subtract(keys)


class Held(Database):
    """Its first load goes on only when the test lets it."""

    def __init__(self) -> None:
        super().__init__(self._hold)
        self.has_begun = threading.Event()
        self.may_end = threading.Event()

    def _hold(self, number: int) -> None:
        if number == 0:
            self.has_begun.set()
            assert self.may_end.wait(LIMIT)

    def end_when(self, waiting: int) -> None:
        """Let it go on as soon as so many wait."""
        for _ in range(waiting):
            assert self.waits.acquire(timeout=LIMIT)
        self.may_end.set()


def shared(*keys: Hashable, seconds: float | None = None) -> Load:
    request = LoadRequest(CUSTOMERS, list(dict.fromkeys(keys)), primary=True)
    return Load([request], is_shared=True, seconds=seconds)


def read(sharing: Sharing, database: Database, *keys: Hashable) -> Rows:
    loaded: Loaded = run(sharing.steps(shared(*keys)), database.perform)
    assert loaded.failures == [{}]
    return loaded.rows[0]


async def aread(sharing: Sharing, database: Database, *keys: Hashable) -> Rows:
    loaded: Loaded = await arun(sharing.steps(shared(*keys)), database.aperform)
    assert loaded.failures == [{}]
    return loaded.rows[0]


@pytest.fixture
def sharing() -> Sharing:
    return Sharing()


def test_fifty_threads_take_two_loads(sharing: Sharing) -> None:
    database = Held()
    with ThreadPoolExecutor(THREADS) as threads:
        first = threads.submit(read, sharing, database, 1, 2)
        assert database.has_begun.wait(LIMIT)
        others = [threads.submit(read, sharing, database, 1, key) for key in range(2, THREADS + 1)]
        database.end_when(waiting=THREADS - 1)
        answers = [other.result(LIMIT) for other in others]

    assert first.result() == {1: (1, 0), 2: (2, 0)}
    assert answers == [{1: (1, 1), key: (key, 1)} for key in range(2, THREADS + 1)]
    assert list(map(len, database.loads)) == [2, THREADS]
    assert is_free(sharing)


def test_no_key_is_loaded_twice_at_a_time(sharing: Sharing) -> None:
    database = Database()
    begin = threading.Barrier(THREADS)

    def read_on(first: int) -> list[Rows]:
        begin.wait(LIMIT)
        return [read(sharing, database, 0, first, first + turn) for turn in range(ROUNDS)]

    with ThreadPoolExecutor(THREADS) as threads:
        answers = list(threads.map(read_on, range(THREADS), timeout=LIMIT))

    assert database.most_at_once == 1
    for first, rows in enumerate(answers):
        assert [set(each) for each in rows] == [{0, first, first + turn} for turn in range(ROUNDS)]
        numbers = [each[0][1] for each in rows]
        assert numbers == sorted(set(numbers))  # Each is given what was read after it came.
    assert is_free(sharing)


async def test_threads_and_event_loops_share_a_load(sharing: Sharing) -> None:
    database = Held()
    with ThreadPoolExecutor(5) as threads:
        first = asyncio.create_task(aread(sharing, database, 0))
        assert await asyncio.to_thread(database.has_begun.wait, LIMIT)
        sync = [threads.submit(read, sharing, database, key) for key in range(1, 6)]
        tasks = [asyncio.create_task(aread(sharing, database, key)) for key in range(5, 10)]
        await asyncio.to_thread(database.end_when, waiting=10)
        async with asyncio.timeout(LIMIT):
            answers = [await asyncio.wrap_future(each) for each in sync] + [
                await task for task in (first, *tasks)
            ]

    assert answers[5] == {0: (0, 0)}
    del answers[5]
    assert answers == [{key: (key, 1)} for key in (1, 2, 3, 4, 5, 5, 6, 7, 8, 9)]
    assert Counter(database.loads[1]) == Counter(range(1, 10))
    assert is_free(sharing)


async def test_a_task_that_is_cancelled_while_it_waits_breaks_nobody_else(
    sharing: Sharing,
) -> None:
    database = Held()
    first = asyncio.create_task(aread(sharing, database, 0))
    assert await asyncio.to_thread(database.has_begun.wait, LIMIT)
    cancelled, other = (asyncio.create_task(aread(sharing, database, key)) for key in (1, 2))
    for _ in range(2):
        assert await asyncio.to_thread(database.waits.acquire, timeout=LIMIT)

    cancelled.cancel()
    await asyncio.wait([cancelled], timeout=LIMIT)
    database.may_end.set()

    async with asyncio.timeout(LIMIT):
        assert (await first, await other) == ({0: (0, 0)}, {2: (2, 1)})
    assert cancelled.cancelled()
    assert database.loads == [[0], [2]]
    assert is_free(sharing)


async def test_a_task_that_is_cancelled_while_it_loads_leaves_that_to_the_next(
    sharing: Sharing,
) -> None:
    database = Held()
    cancelled = asyncio.create_task(aread(sharing, database, 0))
    assert await asyncio.to_thread(database.has_begun.wait, LIMIT)
    other = asyncio.create_task(aread(sharing, database, 1))
    assert await asyncio.to_thread(database.waits.acquire, timeout=LIMIT)

    cancelled.cancel()

    async with asyncio.timeout(LIMIT):
        assert await other == {1: (1, 1)}
    database.may_end.set()
    assert is_free(sharing)


@pytest.mark.parametrize("way", ["thread", "event loop"])
async def test_a_wait_ends_with_its_time(sharing: Sharing, way: str) -> None:
    database = Held()
    first = asyncio.create_task(aread(sharing, database, 0))
    assert await asyncio.to_thread(database.has_begun.wait, LIMIT)
    steps = sharing.steps(shared(1, seconds=0.01))

    if way == "thread":
        loaded: Loaded = await asyncio.to_thread(run, steps, database.perform)
    else:
        loaded = await arun(steps, database.aperform)

    assert loaded.rows == [{}]
    assert list(loaded.failures[0]) == [1]
    database.may_end.set()
    assert await first == {0: (0, 0)}
    assert database.loads == [[0]]
    assert is_free(sharing)
