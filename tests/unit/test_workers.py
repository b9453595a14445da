"""Jobs in threads: how many, for how long, and what becomes of those that nobody wants."""

import gc
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from contextvars import ContextVar
from weakref import ref

import pytest

from refcache.core.exceptions import Overloaded, RefcacheError
from refcache.reading import workers as module
from refcache.reading.workers import Workers
from tests.servers.process import wait_until

LIMIT = 30.0  # seconds, for a loaded machine

language = ContextVar("language", default="none")


class Held:
    """A job that ends only when it is let."""

    def __init__(self) -> None:
        self.has_begun = threading.Event()
        self.may_end = threading.Event()

    def __call__(self) -> str:
        self.has_begun.set()
        assert self.may_end.wait(LIMIT)
        return "done"


@pytest.fixture
def held() -> Iterator[Held]:
    held = Held()
    yield held
    held.may_end.set()


@pytest.fixture
def workers(held: Held) -> Iterator[Workers]:
    """Two threads and room for two jobs more."""
    workers = Workers("test", most=2, longest=2)
    yield workers
    held.may_end.set()
    assert workers.close(LIMIT)


def threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "refcache-test"]


def busy(workers: Workers, held: Held) -> "list[Future[str]]":
    """All threads work."""
    first = workers.submit(held)
    assert held.has_begun.wait(LIMIT)
    held.has_begun.clear()
    second = workers.submit(held)
    assert held.has_begun.wait(LIMIT)
    return [first, second]


def test_there_is_no_thread_before_the_first_job(workers: Workers) -> None:
    assert threads() == []

    assert workers.submit(lambda: 7).result(LIMIT) == 7

    assert [thread.daemon for thread in threads()] == [True]


def test_an_idle_thread_takes_the_next_job(workers: Workers) -> None:
    idents = set()
    for _ in range(5):
        idents.add(workers.submit(threading.get_ident).result(LIMIT))
        wait_until_idle(workers)

    assert len(idents) == 1


def wait_until_idle(workers: Workers) -> None:
    """A job counts until its connections have been looked after."""
    wait_until(lambda: not workers._crew._busy, LIMIT)


def test_there_are_never_more_threads_than_declared(workers: Workers, held: Held) -> None:
    jobs = busy(workers, held)
    jobs += [workers.submit(held) for _ in range(2)]

    assert len(threads()) == 2
    held.may_end.set()
    assert [job.result(LIMIT) for job in jobs] == ["done"] * 4


def test_too_many_jobs_are_refused(workers: Workers, held: Held) -> None:
    busy(workers, held)
    waiting = [workers.submit(int) for _ in range(2)]

    with pytest.raises(Overloaded, match="test: all threads are busy, and 2 jobs wait"):
        workers.submit(int)

    assert issubclass(Overloaded, RefcacheError)
    held.may_end.set()
    assert [job.result(LIMIT) for job in waiting] == [0, 0]


def test_a_job_that_is_cancelled_in_time_never_runs(workers: Workers, held: Held) -> None:
    busy(workers, held)
    ran: list[int] = []
    job = workers.submit(lambda: ran.append(1))
    last = workers.submit(lambda: ran.append(2))

    assert job.cancel()

    held.may_end.set()
    last.result(LIMIT)
    assert ran == [2]


def test_cancelled_jobs_make_room(workers: Workers, held: Held) -> None:
    busy(workers, held)
    cancelled, kept = workers.submit(int), workers.submit(int)
    cancelled.cancel()

    last = workers.submit(int)

    assert wait([cancelled, kept], LIMIT, FIRST_COMPLETED).done == {cancelled}
    with pytest.raises(Overloaded):
        workers.submit(int)
    held.may_end.set()
    assert (kept.result(LIMIT), last.result(LIMIT)) == (0, 0)


def test_a_job_that_has_begun_goes_on(workers: Workers, held: Held) -> None:
    job, _ = busy(workers, held)

    assert not job.cancel()

    held.may_end.set()
    assert job.result(LIMIT) == "done"


@pytest.mark.parametrize("error", [ZeroDivisionError, SystemExit, KeyboardInterrupt])
def test_an_error_is_for_who_asks_for_the_result(
    workers: Workers, error: type[BaseException], capfd: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise error

    unasked, asked = workers.submit(fail), workers.submit(fail)

    with pytest.raises(error):
        asked.result(LIMIT)
    wait([unasked], LIMIT)
    assert workers.submit(int).result(LIMIT) == 0
    del unasked
    gc.collect()
    assert capfd.readouterr() == ("", "")


def test_a_job_has_a_context_of_its_own(workers: Workers) -> None:
    def speak() -> str:
        before = language.get()
        language.set("job's")
        return before

    token = language.set("caller's")
    spoken = [workers.submit(speak).result(LIMIT) for _ in range(3)]
    language.reset(token)

    assert spoken == ["none"] * 3


@pytest.mark.parametrize("fails", [False, True], ids=["done", "failed"])
def test_nothing_is_kept_of_a_job(workers: Workers, fails: bool) -> None:  # noqa: FBT001 - parametrized
    class Job:
        def __call__(self) -> float:
            return 1 / (not fails)

    job = Job()
    known = ref(job)
    wait([workers.submit(job)], LIMIT)
    wait_until_idle(workers)

    del job
    assert known() is None


def test_a_thread_ends_when_it_has_been_idle(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "IDLE", 0.001)

    for _ in range(2):  # A new one is started where the first has ended.
        assert workers.submit(int).result(LIMIT) == 0
        for thread in threads():
            thread.join(LIMIT)
        assert threads() == []


def test_closing_ends_the_threads_and_cancels_what_waits(workers: Workers, held: Held) -> None:
    begun = busy(workers, held)
    waiting = workers.submit(int)

    assert not workers.close(0)  # The jobs under way are left alone.

    with pytest.raises(CancelledError):
        waiting.result(LIMIT)
    assert wait([waiting], LIMIT).done == {waiting}
    assert workers.submit(int).result(LIMIT) == 0
    held.may_end.set()
    assert [job.result(LIMIT) for job in begun] == ["done"] * 2
    assert workers.close(LIMIT)


def test_idle_threads_end_at_once_when_closed(workers: Workers) -> None:
    workers.submit(int).result(LIMIT)

    assert workers.close(LIMIT)

    assert threads() == []


def test_workers_live_as_long_as_their_threads() -> None:
    workers = Workers("test", most=1, longest=0)
    known = ref(workers)
    workers.submit(int).result(LIMIT)

    del workers
    gc.collect()

    kept = known()
    assert kept is not None
    assert kept.close(LIMIT)
    del kept
    gc.collect()
    assert known() is None


@pytest.fixture
def end_of_exit() -> Iterator[Callable[[], float]]:
    """It is forgotten afterwards, as this interpreter goes on."""
    yield module._end_of_exit
    module._end_of_exit.cache_clear()


def test_all_workers_together_keep_the_interpreter_no_longer_than_one(
    end_of_exit: Callable[[], float], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Clock:
        now = 50.0

        def monotonic(self) -> float:
            return self.now

    class Hung(Workers):
        def close(self, seconds: float) -> bool:
            granted.append(seconds)
            clock.now += 0.75
            return False

    clock, granted = Clock(), list[float]()
    monkeypatch.setattr(module, "time", clock)
    several = [Hung("test", most=1, longest=1) for _ in range(3)]

    for each in several:
        each._end()

    assert granted == [1.0, 0.25, 0.0]
    assert end_of_exit() == 50.0 + module.AT_EXIT


@pytest.mark.usefixtures("end_of_exit")
def test_no_job_is_taken_when_the_interpreter_ends(workers: Workers) -> None:
    workers._end()

    with pytest.raises(Overloaded, match="the interpreter ends"):
        workers.submit(int)


def test_a_job_is_refused_if_no_thread_can_be_started(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        with pytest.raises(Overloaded, match="no thread can be started"):
            workers.submit(int)

    assert workers.submit(int).result(LIMIT) == 0


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_begins_anew(workers: Workers, held: Held) -> None:
    jobs = busy(workers, held)
    jobs += [workers.submit(held) for _ in range(2)]

    with workers._crew._changed:  # as another thread may hold it
        child = os.fork()
        if not child:
            signal.alarm(int(LIMIT))
            is_alone = len(threading.enumerate()) == 1
            done = [workers.submit(int).result(LIMIT) for _ in range(5)]
            os._exit(0 if is_alone and done == [0] * 5 and workers.close(LIMIT) else 1)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    held.may_end.set()
    assert [job.result(LIMIT) for job in jobs] == ["done"] * 4
