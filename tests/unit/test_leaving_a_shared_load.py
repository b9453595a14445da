"""Callers of a shared load that are stopped, thrown away, late or forked."""

import asyncio
import gc
import os
import signal

import pytest

from refcache.core.exceptions import LoadFailed, LoadTimedOut
from refcache.core.operations import Load, Loaded, LoadRequest, Turn
from refcache.reading.sharing import Sharing
from tests.unit.sharing_callers import CUSTOMERS, DEVICES, Caller, is_free

LIMIT = 30  # seconds, for a loaded machine

KILLS = [KeyboardInterrupt, GeneratorExit, SystemExit]


@pytest.fixture
def sharing() -> Sharing:
    return Sharing()


def stop(caller: Caller, kill: type[BaseException]) -> None:
    with pytest.raises(kill):
        caller.fail(kill())


@pytest.mark.parametrize("kill", KILLS)
def test_a_member_that_is_stopped_leaves_the_others(
    sharing: Sharing, kill: type[BaseException]
) -> None:
    first = Caller(sharing, 1)
    stopped, other = Caller(sharing, 2), Caller(sharing, 3)

    stop(stopped, kill)
    first.load()

    assert other.told().keys == [3]
    other.load()
    assert is_free(sharing)


@pytest.mark.parametrize("kill", KILLS)
def test_one_that_is_stopped_before_it_leads_hands_that_on(
    sharing: Sharing, kill: type[BaseException]
) -> None:
    first = Caller(sharing, 1)
    stopped, other = Caller(sharing, 2), Caller(sharing, 3)
    first.load()
    assert not stopped.is_waiting

    stop(stopped, kill)

    assert other.told().keys == [3]
    other.load()
    assert is_free(sharing)


@pytest.mark.parametrize("kill", KILLS)
def test_another_loads_for_those_whose_leader_is_stopped(
    sharing: Sharing, kill: type[BaseException]
) -> None:
    first = Caller(sharing, 1)
    stopped, members = Caller(sharing, 2), [Caller(sharing, 3), Caller(sharing, 4)]
    first.load()
    assert stopped.told().keys == [2, 3, 4]
    late = Caller(sharing, 5)

    stop(stopped, kill)

    leader, other = members
    assert leader.told().keys == [3, 4, 5]
    leader.load()
    assert other.told().rows == {4: (4, "new")}
    assert late.told().rows == {5: (5, "new")}
    assert is_free(sharing)


def test_a_member_that_is_stopped_during_its_load_is_missed_by_nobody(sharing: Sharing) -> None:
    first = Caller(sharing, 1)
    leader, stopped = Caller(sharing, 2), Caller(sharing, 3)
    first.load()
    leader.told()

    stop(stopped, KeyboardInterrupt)

    assert leader.load().rows == {2: (2, "new")}
    assert is_free(sharing)


def test_nobody_waits_for_a_member_that_went_before_its_leader_did(sharing: Sharing) -> None:
    first = Caller(sharing, 1)
    leader, gone, other = (Caller(sharing, key) for key in (2, 3, 4))
    first.load()
    leader.told()

    stop(gone, KeyboardInterrupt)
    stop(leader, KeyboardInterrupt)

    assert other.told().keys == [4]


def test_who_gives_up_at_the_last_moment_does_not_break_the_one_before(sharing: Sharing) -> None:
    first = Caller(sharing, 1)
    member, other = Caller(sharing, 2), Caller(sharing, 3)
    assert isinstance(member.operation, Turn)

    member.operation.future.cancel()  # As an event loop does with a future that it waits for.
    first.load()
    stop(member, asyncio.CancelledError)

    assert other.told().keys == [3]


def test_a_caller_that_is_thrown_away_under_the_lock_blocks_nobody(sharing: Sharing) -> None:
    first = Caller(sharing, 1)
    other = Caller(sharing, 2)

    with sharing._lock:  # As the garbage collector may, in a thread that holds it.
        first.steps.close()
    last = Caller(sharing, 3)

    assert other.told().keys == [2, 3]
    other.load()
    assert last.told().rows == {3: (3, "new")}
    assert is_free(sharing)


def test_who_begins_a_load_opens_what_was_left_under_the_lock(sharing: Sharing) -> None:
    first, leader = Caller(sharing, 1), Caller(sharing, 2)
    devices, other = (Caller(sharing, key, of=(DEVICES,)) for key in (3, 4))
    first.load()

    with sharing._lock:
        devices.steps.close()
    leader.told()

    assert other.told().keys == [4]


def test_the_garbage_collector_opens_the_gate(sharing: Sharing) -> None:
    lost = Caller(sharing, 1)
    other = Caller(sharing, 2)

    del lost
    gc.collect()

    assert other.told().keys == [2]


# Time limits.


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limited(clock: Clock) -> Sharing:
    return Sharing(clock)


def test_a_member_waits_no_longer_than_its_time(limited: Sharing, clock: Clock) -> None:
    first = Caller(limited, 1)
    impatient = Caller(limited, 2, 3, seconds=2.0)
    assert isinstance(impatient.operation, Turn)
    assert impatient.operation.seconds == 2.0
    clock.now += 2.0

    impatient.fail(TimeoutError())

    assert impatient.rows == {}
    assert list(impatient.failures) == [2, 3]
    assert all(isinstance(error, LoadTimedOut) for error in impatient.failures.values())
    assert first.load().rows == {1: (1, "new")}
    assert is_free(limited)


def test_the_time_is_for_all_requests_together(limited: Sharing, clock: Clock) -> None:
    devices = Caller(limited, 1, of=(DEVICES,))
    both = Caller(limited, 1, of=(CUSTOMERS, DEVICES), seconds=2.0)
    clock.now += 0.5
    both.load()

    assert isinstance(both.operation, Turn)
    assert both.operation.seconds == 1.5
    devices.load()


def test_nothing_is_begun_when_the_time_is_over(limited: Sharing, clock: Clock) -> None:
    both = Caller(limited, 1, of=(CUSTOMERS, DEVICES), seconds=2.0)
    clock.now += 2.0
    both.load()

    assert both.operation is None
    assert list(both.loaded.rows) == [{1: (1, "new")}, {}]
    assert [list(failures) for failures in both.loaded.failures] == [[], [1]]
    assert is_free(limited)


def test_one_that_is_chosen_too_late_hands_that_on(limited: Sharing, clock: Clock) -> None:
    first = Caller(limited, 1)
    late, other = Caller(limited, 2, seconds=2.0), Caller(limited, 3)
    clock.now += 2.0
    first.load()

    assert list(late.told().failures) == [2]
    assert other.told().keys == [3]


def test_a_leader_has_all_of_its_time_for_the_load(limited: Sharing, clock: Clock) -> None:
    first = Caller(limited, 1)
    leader = Caller(limited, 2, seconds=2.0)
    clock.now += 1.9
    first.load()

    assert leader.told().operation == Load(
        [LoadRequest(CUSTOMERS, (2,), primary=True)], seconds=2.0
    )


def test_the_next_batch_goes_on_after_a_load_that_took_too_long(limited: Sharing) -> None:
    first = Caller(limited, 1, seconds=2.0)
    leader = Caller(limited, 2, seconds=2.0)
    error = LoadFailed(CUSTOMERS, [1])

    first.reply(Loaded([{}], [False], [{1: error}]))

    assert first.failures == {1: error}
    assert leader.told().load().rows == {2: (2, "new")}
    assert is_free(limited)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_waits_for_nobody_of_its_parent(sharing: Sharing) -> None:
    first = Caller(sharing, 1)
    waiting = Caller(sharing, 2)

    with sharing._lock:  # as another thread may hold it
        child = os.fork()
        if not child:
            signal.alarm(LIMIT)
            caller = Caller(sharing, 3)
            is_alone = caller.operation == Load([LoadRequest(CUSTOMERS, (3,), primary=True)])
            caller.load()
            waiting.steps.close()  # It was the parent's.
            os._exit(0 if is_alone and is_free(sharing) else 1)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    first.load()
    assert waiting.told().keys == [2]


def test_who_has_no_limit_does_not_wait_for_ever() -> None:
    sharing = Sharing()
    leader, patient = Caller(sharing, 1), Caller(sharing, 1)
    assert isinstance(leader.operation, Load)
    assert isinstance(patient.operation, Turn)
    assert patient.operation.seconds is not None

    patient.fail(TimeoutError())

    assert isinstance(patient.operation, Load)
    patient.load()
    assert patient.rows == {1: (1, "new")}
