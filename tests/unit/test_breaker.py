"""The breaker: what opens it, what closes it, and who asks meanwhile."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
from redis.exceptions import MaxConnectionsError, OutOfMemoryError, ReadOnlyError

from refcache.core.events import BreakerClosed, BreakerOpened, Event
from refcache.core.exceptions import StoreUnavailable
from refcache.core.operations import Claim, Fill, Mark, Operation, Read, Release
from refcache.core.stores import Store
from refcache.tiers.breaker import Breaker, Verdict

READ = Read([b"key"])
CLAIM = Claim([], b"token", b"epoch", 1, {})
FILL = Fill(b"token", [])
MARK = Mark([], b"token", b"epoch", 1)
RELEASE = Release([], b"token", b"epoch")

Act = Callable[[], object]
Events = list[Event]

FAILURES, PAUSE = 3, 0.5
LIMIT = 30.0  # seconds, for a loaded machine

OPENED = BreakerOpened("", "down")


class Fake:
    """A store that is up or down as the test says, and remembers what reached it."""

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.asked: list[Operation] = []
        self.meanwhile: Act = lambda: None
        self.is_closed = False

    def perform(self, operation: Operation) -> Any:
        self.asked.append(operation)
        self.meanwhile()
        if self.error:
            raise self.error
        return "a reply"

    async def aperform(self, operation: Operation) -> Any:
        return self.perform(operation)

    def close(self) -> None:
        self.is_closed = True


class Bench:
    """A breaker, what is below it, the time, and what it told."""

    def __init__(self, store: Store | None = None) -> None:
        self.store = Fake()
        self.now = 100.0
        self.events: Events = []
        self.breaker = Breaker(
            store or self.store,
            self.events.append,
            failures=FAILURES,
            pause=PAUSE,
            monotonic=lambda: self.now,
        )

    def fails(self, operation: Operation = READ) -> str:
        with pytest.raises(StoreUnavailable) as caught:
            self.breaker.perform(operation)
        return str(caught.value)

    def open(self) -> None:
        self.store.error = StoreUnavailable("down")
        for _ in range(FAILURES):
            self.fails()
        assert self.breaker.is_open
        self.store.asked.clear()


@pytest.fixture
def bench() -> Bench:
    return Bench()


def caused(cause: Exception) -> StoreUnavailable:
    exc = StoreUnavailable("caused")
    exc.__cause__ = cause
    return exc


def test_closed_it_passes_on_replies_and_errors(bench: Bench) -> None:
    assert bench.breaker.perform(READ) == "a reply"
    assert asyncio.run(bench.breaker.aperform(CLAIM)) == "a reply"
    bench.store.error = StoreUnavailable("down")
    assert bench.fails(FILL) == "down"

    assert bench.store.asked == [READ, CLAIM, FILL]
    assert not bench.breaker.is_open
    assert bench.events == []


def test_failures_in_a_row_open_it(bench: Bench) -> None:
    bench.store.error = StoreUnavailable("down")
    for _ in range(FAILURES - 1):
        bench.fails()
    assert not bench.breaker.is_open

    bench.fails()

    assert bench.breaker.is_open
    assert bench.events == [OPENED]


def test_an_answer_between_failures_begins_the_count_anew(bench: Bench) -> None:
    for _ in range(3):
        bench.store.error = StoreUnavailable("down")
        for _ in range(FAILURES - 1):
            bench.fails()
        bench.store.error = None
        bench.breaker.perform(READ)

    assert bench.events == []


@pytest.mark.parametrize("operation", [READ, CLAIM, FILL], ids=lambda each: type(each).__name__)
def test_open_it_refuses_at_once(bench: Bench, operation: Operation) -> None:
    bench.open()

    assert bench.fails(operation) == (
        "Redis has not answered 3 times in a row; asked again in 0.5 s."
    )
    with pytest.raises(StoreUnavailable, match="asked again"):
        asyncio.run(bench.breaker.aperform(operation))
    assert bench.store.asked == []


@pytest.mark.parametrize("operation", [MARK, RELEASE], ids=lambda each: type(each).__name__)
def test_an_open_one_never_skips_a_mark_or_a_release(bench: Bench, operation: Operation) -> None:
    bench.open()

    assert bench.fails(operation) == "down"
    assert bench.store.asked == [operation]

    bench.store.error = None
    assert bench.breaker.perform(operation) == "a reply"
    assert not bench.breaker.is_open
    assert bench.breaker.perform(READ) == "a reply"


def test_marks_that_fail_count_too(bench: Bench) -> None:
    bench.store.error = StoreUnavailable("down")
    for operation in (MARK, RELEASE, MARK):
        bench.fails(operation)

    assert bench.breaker.is_open


def test_marks_that_fail_do_not_put_off_the_probe(bench: Bench) -> None:
    bench.open()
    bench.now += PAUSE / 2
    bench.fails(MARK)
    bench.now += PAUSE / 2

    assert bench.fails() == "down"
    assert bench.store.asked == [MARK, READ]


def test_a_probe_that_is_answered_closes_it(bench: Bench) -> None:
    bench.open()
    bench.store.error = None
    bench.now += PAUSE

    assert bench.breaker.perform(READ) == "a reply"

    assert not bench.breaker.is_open
    assert bench.events == [OPENED, BreakerClosed("", PAUSE)]


def test_each_probe_that_fails_doubles_the_pause_up_to_a_limit(bench: Bench) -> None:
    bench.open()
    for pauses in (1, 2, 4, 8, 8, 8):
        bench.now += PAUSE * pauses - 0.125
        assert "asked again in 0.1 s" in bench.fails()
        bench.now += 0.125
        assert bench.fails() == "down"

    assert len(bench.store.asked) == 6
    assert bench.events == [OPENED]


def test_once_closed_the_pauses_start_anew(bench: Bench) -> None:
    bench.open()
    bench.now += PAUSE
    bench.fails()
    bench.store.error = None
    bench.breaker.perform(MARK)

    bench.open()
    bench.now += PAUSE

    assert bench.fails() == "down"


def test_all_others_are_refused_while_one_probes(bench: Bench) -> None:
    bench.open()
    bench.store.error = None
    bench.now += PAUSE
    probing, done = threading.Event(), threading.Event()

    def meanwhile() -> None:
        probing.set()
        assert done.wait(LIMIT)

    bench.store.meanwhile = meanwhile
    with ThreadPoolExecutor(1) as pool:
        probe = pool.submit(bench.breaker.perform, READ)
        assert probing.wait(LIMIT)
        refused = [bench.fails(each) for each in (READ, CLAIM, FILL)]
        done.set()

        assert probe.result(LIMIT) == "a reply"
    assert all("asked again" in each for each in refused)
    assert bench.store.asked == [READ]
    assert not bench.breaker.is_open


def test_of_many_threads_at_once_one_probes(bench: Bench) -> None:
    bench.open()
    bench.now += PAUSE
    threads = 16
    barrier = threading.Barrier(threads)

    def ask() -> str:
        barrier.wait(LIMIT)
        return bench.fails()

    with ThreadPoolExecutor(threads) as pool:
        said = [each.result(LIMIT) for each in [pool.submit(ask) for _ in range(threads)]]

    assert said.count("down") == len(bench.store.asked) == 1


def test_of_many_coroutines_at_once_one_probes(bench: Bench) -> None:
    bench.open()
    bench.now += PAUSE
    bench.store.error = None
    entered = []

    class Slow(Fake):
        async def aperform(self, operation: Operation) -> Any:
            entered.append(operation)
            await asyncio.sleep(0)
            return "a reply"

    bench.breaker.store = Slow()

    async def ask() -> object:
        try:
            return await bench.breaker.aperform(READ)
        except StoreUnavailable:
            return "refused"

    async def all_at_once() -> list[object]:
        return list(await asyncio.gather(*(ask() for _ in range(8))))

    assert sorted(map(str, asyncio.run(all_at_once()))) == ["a reply", *["refused"] * 7]
    assert len(entered) == 1


def test_a_probe_that_is_cancelled_leaves_the_next_to_another(bench: Bench) -> None:
    bench.open()
    bench.now += PAUSE

    class Hanging(Fake):
        async def aperform(self, _: Operation) -> Any:
            await asyncio.Event().wait()

    bench.breaker.store = Hanging()

    async def cancelled() -> None:
        task = asyncio.create_task(bench.breaker.aperform(READ))
        await asyncio.sleep(0)
        assert "asked again" in bench.fails()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert bench.breaker.is_open
    bench.breaker.store = Fake()

    assert bench.breaker.perform(READ) == "a reply"


@pytest.mark.parametrize("exc", [KeyboardInterrupt(), SystemExit(), TypeError("ours")], ids=repr)
def test_what_is_no_outage_says_nothing(bench: Bench, exc: BaseException) -> None:
    bench.open()
    bench.now += PAUSE
    bench.store.error = exc
    with pytest.raises(type(exc)):
        bench.breaker.perform(READ)
    bench.store.error = StoreUnavailable("down")

    assert bench.fails() == "down"  # the next one probes, and the pause has not grown
    bench.now += 2 * PAUSE
    assert bench.fails() == "down"


def test_a_probe_that_never_ends_is_followed_by_another(bench: Bench) -> None:
    bench.open()
    bench.now += PAUSE
    assert bench.breaker._admit(READ)  # as in a process that was forked meanwhile

    bench.now += 8 * PAUSE

    assert bench.fails() == "down"


def test_a_late_failure_of_an_older_probe_does_not_put_off_the_next(bench: Bench) -> None:
    bench.open()
    bench.now += PAUSE
    old = bench.breaker._admit(READ)
    bench.store.error = None
    bench.breaker.perform(MARK)
    bench.open()

    bench.breaker._ended(Verdict.FAILED, old)
    bench.now += PAUSE

    assert bench.fails() == "down"


def test_a_late_failure_of_a_read_does_not_put_off_the_probe(bench: Bench) -> None:
    began: list[Act] = []
    bench.store.meanwhile = lambda: began and began.pop()()
    bench.store.error = StoreUnavailable("down")
    began.append(bench.open)
    bench.fails()  # began before it opened, and fails after

    bench.now += PAUSE

    assert bench.fails() == "down"


@pytest.mark.parametrize(
    "cause",
    [
        MaxConnectionsError("Too many connections"),
        redis.ConnectionError("Too many connections"),
        redis.ConnectionError("No connection available."),
    ],
    ids=["a class", "its text", "a blocking pool's"],
)
def test_an_exhausted_pool_says_nothing_of_the_server(bench: Bench, cause: Exception) -> None:
    bench.store.error = StoreUnavailable("down")
    for _ in range(FAILURES - 1):
        bench.fails()
    bench.store.error = caused(cause)
    for _ in range(FAILURES):
        bench.fails()
    assert not bench.breaker.is_open

    bench.store.error = StoreUnavailable("down")
    bench.fails()

    assert bench.breaker.is_open


@pytest.mark.parametrize("text", ["no running event loop", "Event loop is closed"])
def test_a_loop_that_has_gone_says_nothing_of_the_server(bench: Bench, text: str) -> None:
    bench.store.error = caused(RuntimeError(text))
    for _ in range(FAILURES):
        bench.fails()

    assert not bench.breaker.is_open


@pytest.mark.parametrize(
    "cause", [OutOfMemoryError(), ReadOnlyError(), redis.ResponseError("BUSY")], ids=repr
)
def test_a_refusal_is_an_answer(bench: Bench, cause: Exception) -> None:
    bench.open()
    bench.now += PAUSE
    bench.store.error = caused(cause)

    bench.fails()

    assert not bench.breaker.is_open
    for _ in range(FAILURES):
        bench.fails()
    assert not bench.breaker.is_open


@pytest.mark.parametrize(
    "cause",
    [
        redis.TimeoutError(),
        redis.ConnectionError("refused"),
        redis.BusyLoadingError(),
        redis.AuthenticationError(),
        redis.InvalidResponse("garbage"),
        OSError(),
        IndexError(),
    ],
    ids=repr,
)
def test_whatever_else_prevents_an_answer_counts(bench: Bench, cause: Exception) -> None:
    bench.store.error = caused(cause)
    for _ in range(FAILURES):
        bench.fails()

    assert bench.breaker.is_open


def test_what_is_told_of_may_ask_again(bench: Bench) -> None:
    """No lock is held meanwhile."""
    seen = []
    bench.breaker._emit = lambda event: seen.append((event, bench.breaker.is_open, bench.fails()))

    bench.store.error = StoreUnavailable("down")
    for _ in range(FAILURES):
        bench.fails()

    assert [(event, is_open) for event, is_open, _ in seen] == [(OPENED, True)]


def test_it_closes_what_it_stands_before(bench: Bench) -> None:
    bench.breaker.close()
    assert bench.store.is_closed

    class Unclosable:
        perform = aperform = None

    Bench(Unclosable()).breaker.close()  # type: ignore[arg-type]  # nobody asks it
