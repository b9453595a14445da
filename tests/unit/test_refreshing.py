"""Who refreshes what, and how often, while old values are read."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, cast

import pytest

from refcache.core.events import Event, RefreshRefused
from refcache.core.exceptions import ReferenceUnavailable
from refcache.core.operations import Refresh
from refcache.reading.refreshing import LONGEST, Refresher

if TYPE_CHECKING:
    from refcache.reading.workers import Workers

OLD = Refresh({"customer": [1, 2]}, 0)


class Registry:
    """Notes what is refreshed; the database may fail."""

    def __init__(self) -> None:
        self.refreshed: list[dict[str, list[Any]]] = []
        self.events: list[Event] = []
        self.fails = False

    def emit(self, event: Event) -> None:
        self.events.append(event)

    def refresh(self, keys: Mapping[str, Iterable[object]], within: float = 0.0) -> None:
        del within
        self.refreshed.append({name: list(each) for name, each in keys.items()})
        if self.fails:
            raise ReferenceUnavailable("customer", [1, 2])

    async def arefresh(self, keys: Mapping[str, Iterable[object]], within: float = 0.0) -> None:
        self.refresh(keys, within)


class Queue:
    """Performs what was submitted when it is told to."""

    def __init__(self) -> None:
        self.jobs: list[Callable[[], object]] = []

    def submit(self, job: Callable[[], object]) -> "Future[object]":
        self.jobs.append(job)
        return Future()

    def perform(self) -> None:
        jobs, self.jobs = self.jobs, []
        for job in jobs:
            job()


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def queue() -> Queue:
    return Queue()


@pytest.fixture
def now() -> list[float]:
    return [100.0]


@pytest.fixture
def refresher(registry: Registry, queue: Queue, now: list[float]) -> Refresher:
    return Refresher(registry, cast("Workers", queue), None, monotonic=lambda: now[0])


def test_what_is_being_refreshed_is_not_refreshed_again(
    refresher: Refresher, registry: Registry, queue: Queue
) -> None:
    refresher.refresh(OLD)
    refresher.refresh(Refresh({"customer": [2, 3]}, 0))
    queue.perform()

    assert registry.refreshed == [{"customer": [1, 2]}, {"customer": [3]}]


def test_what_was_refreshed_may_be_once_more(
    refresher: Refresher, registry: Registry, queue: Queue
) -> None:
    for _ in range(2):
        refresher.refresh(OLD)
        queue.perform()

    assert len(registry.refreshed) == 2


def test_a_database_in_trouble_is_not_asked_at_each_read(
    refresher: Refresher, registry: Registry, queue: Queue, now: list[float]
) -> None:
    registry.fails = True
    for _ in range(3):
        refresher.refresh(OLD)
        queue.perform()
    assert len(registry.refreshed) == 1
    assert registry.events == [RefreshRefused("customer", 2, registry.events[0].reason)]  # type: ignore[attr-defined]  # it is one

    now[0] += LONGEST + 0.1
    refresher.refresh(OLD)
    queue.perform()

    assert len(registry.refreshed) == 2
