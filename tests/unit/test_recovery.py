"""What waits for a store that cannot be reached, and how it is told in the end."""

import os
import threading
from collections.abc import Sequence

import pytest

from refcache.core.exceptions import StoreUnavailable
from refcache.core.keys import family
from refcache.core.writes import Touched
from refcache.writing import recovery
from refcache.writing.recovery import LONGEST, TOGETHER, Recovery

LIMIT = 30.0  # seconds, for a loaded machine

CUSTOMERS, DEVICES = family(b"", "customer"), family(b"", "device")


class Store:
    """Remembers what it is told; out of order after `answers` more releases."""

    def __init__(self, answers: float = float("inf")) -> None:
        self.answers = answers
        self.told: list[tuple[bytes, list[Touched]]] = []
        self.was_told = threading.Event()

    def release(self, token: bytes, touched: Sequence[Touched]) -> None:
        if self.answers <= 0:
            raise StoreUnavailable("as the test wants it")
        self.answers -= 1
        self.told.append((token, list(touched)))
        self.was_told.set()


@pytest.fixture(autouse=True)
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """The background thread comes too late for the test."""
    monkeypatch.setattr(recovery, "RETRY_AFTER", LIMIT)


def rows(*numbers: int) -> Touched:
    return Touched(CUSTOMERS, tuple(b"%d" % number for number in numbers))


def test_everything_that_waits_is_released() -> None:
    store = Store()
    waiting = Recovery(store.release)
    waiting.add(b"one", [rows(1, 2), Touched(DEVICES, (), whole=True)])
    assert len(waiting) == 3

    assert waiting.retry()

    assert len(waiting) == 0
    assert store.told == [(b"one", [rows(1), rows(2), Touched(DEVICES, (), whole=True)])]


def test_the_last_write_of_a_row_stands_for_all() -> None:
    store = Store()
    waiting = Recovery(store.release)
    waiting.add(b"one", [rows(1)])
    waiting.add(b"two", [rows(1)])

    waiting.retry()

    assert store.told == [(b"two", [rows(1)])]


def test_writes_of_several_tokens_are_released_apart() -> None:
    store = Store()
    waiting = Recovery(store.release)
    waiting.add(b"one", [rows(1)])
    waiting.add(b"two", [rows(2)])
    waiting.add(b"one", [rows(3)])

    waiting.retry()

    assert store.told == [(b"one", [rows(1), rows(3)]), (b"two", [rows(2)])]


def test_many_rows_are_released_in_slices() -> None:
    store = Store()
    waiting = Recovery(store.release)
    waiting.add(b"one", [rows(*range(TOGETHER + 1))])

    waiting.retry()

    assert [len(touched) for _, touched in store.told] == [TOGETHER, 1]


def test_a_store_that_fails_again_keeps_the_rest_waiting() -> None:
    store = Store(answers=1)
    waiting = Recovery(store.release)
    waiting.add(b"one", [rows(1)])
    waiting.add(b"two", [rows(2)])

    assert not waiting.retry()

    assert len(waiting) == 1
    store.answers = 1
    assert waiting.retry()
    assert [token for token, _ in store.told] == [b"one", b"two"]


def test_too_many_rows_become_all_of_the_reference_that_has_the_most() -> None:
    store = Store()
    waiting = Recovery(store.release)
    waiting.add(b"one", [Touched(DEVICES, (b"1", b"2"))])
    waiting.add(b"two", [rows(*range(LONGEST))])

    assert len(waiting) == 3
    waiting.retry()

    assert store.told == [
        (b"one", [Touched(DEVICES, (b"1",)), Touched(DEVICES, (b"2",))]),
        (b"two", [Touched(CUSTOMERS, (), whole=True)]),
    ]


def test_a_row_that_is_written_while_it_is_released_goes_on_waiting() -> None:
    def release(token: bytes, touched: Sequence[Touched]) -> None:
        if token == b"one":
            waiting.add(b"two", [rows(1)])
            assert len(waiting) == 1
        told.append((token, list(touched)))

    told: list[tuple[bytes, list[Touched]]] = []
    waiting = Recovery(release)
    waiting.add(b"one", [rows(1)])

    waiting.retry()

    assert told == [(b"one", [rows(1)]), (b"two", [rows(1)])]


def test_the_age_is_that_of_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("refcache.writing.recovery.time.monotonic", lambda: now[0])
    waiting = Recovery(Store().release)
    assert waiting.age == 0.0

    for number in (1, 2, 1):
        waiting.add(b"%d" % number, [rows(number)])
        now[0] += 5

    assert waiting.age == 15.0
    waiting.retry()
    assert waiting.age == 0.0


def test_a_thread_retries_until_nothing_waits_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "RETRY_AFTER", 0.001)
    store = Store()
    waiting = Recovery(store.release)

    for _ in range(2):  # A second one is started where the first has ended.
        waiting.add(b"one", [rows(1)])
        thread = waiting._thread
        assert store.was_told.wait(LIMIT)
        if thread is not None:
            thread.join(LIMIT)
            assert not thread.is_alive()
        store.was_told.clear()

    assert len(waiting) == 0
    assert waiting._thread is None


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_leaves_what_waits_to_its_parent() -> None:
    waiting = Recovery(Store().release)
    waiting.add(b"one", [rows(1)])

    with waiting._lock:  # as the thread may hold it
        child = os.fork()
        if not child:
            waiting.add(b"two", [rows(2)])
            os._exit(len(waiting))

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    assert len(waiting) == 1
