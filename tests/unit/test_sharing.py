"""Loads that several callers share: who joins which, and what each is given."""

from typing import cast

import pytest

from refcache.core.exceptions import LoadFailed
from refcache.core.operations import Load, Loaded, LoadRequest
from refcache.reading.sharing import Sharing, _Member
from tests.unit.sharing_callers import CUSTOMERS, DEVICES, Caller, is_free


@pytest.fixture
def sharing() -> Sharing:
    return Sharing()


def test_a_caller_on_its_own_loads_at_once(sharing: Sharing) -> None:
    caller = Caller(sharing, 1, 2, seconds=3.0)

    assert caller.operation == Load([LoadRequest(CUSTOMERS, (1, 2), primary=True)], seconds=3.0)
    assert caller.load().loaded == Loaded([{1: (1, "new"), 2: (2, "new")}], [True], [{}])
    assert is_free(sharing)


class JoinsWhatHasBegun(Sharing):
    """The weaker design: who comes while others load is given what they read."""

    def _enter(self, member: _Member) -> bool:
        is_alone = super()._enter(member)
        gate = self._gates[member.place]
        if not is_alone:
            gate.batch |= gate.waiting
            gate.waiting = {}
        return is_alone

    def _begin(self, leader: _Member) -> list[_Member]:
        super()._begin(leader)
        # It still grows.
        return cast("list[_Member]", self._gates[leader.place].batch)


@pytest.mark.parametrize(
    ("kind", "is_safe"), [(Sharing, True), (JoinsWhatHasBegun, False)], ids=["real", "weaker"]
)
def test_who_comes_while_a_load_is_under_way_gets_what_is_read_later(
    kind: type[Sharing],
    is_safe: bool,  # noqa: FBT001 - parametrized
) -> None:
    sharing = kind()
    early = Caller(sharing, 1)
    late = Caller(sharing, 1)  # It has seen a commit that the load under way may have missed.
    early.load("old")

    late.told()
    if isinstance(late.operation, Load):
        late.load("new")

    assert early.rows == {1: (1, "old")}
    assert (late.rows == {1: (1, "new")}) is is_safe


def test_those_who_wait_are_given_one_load_of_all_their_keys(sharing: Sharing) -> None:
    first = Caller(sharing, 1)
    waiting = [Caller(sharing, 1, 2), Caller(sharing, 2, 3), Caller(sharing, 4)]
    assert all(caller.is_waiting for caller in waiting)

    first.load("old")
    leader, *others = waiting
    assert [caller.is_waiting for caller in waiting] == [False, True, True]
    assert leader.told().keys == [1, 2, 3, 4]
    leader.reply(Loaded([{1: (1,), 3: (3,), 4: (4,)}], [False], [{}]))

    assert [caller.told().rows for caller in others] == [{3: (3,)}, {4: (4,)}]
    assert leader.rows == {1: (1,)}
    assert [caller.loaded.storable for caller in waiting] == [[False]] * 3
    assert is_free(sharing)


def test_who_comes_before_the_next_load_begins_joins_it(sharing: Sharing) -> None:
    first = Caller(sharing, 1)
    leader = Caller(sharing, 2)
    first.load()
    joined = Caller(sharing, 3)  # The leader has been chosen, and has not begun.

    assert leader.told().keys == [2, 3]
    leader.load()

    assert joined.told().rows == {3: (3, "new")}


def test_nobody_waits_for_more_than_two_loads(sharing: Sharing) -> None:
    leader = Caller(sharing, 0)
    for number in range(1, 5):
        last = Caller(sharing, number)
        leader.load()
        leader = last.told()
        assert leader.keys == [number]

    leader.load()
    assert is_free(sharing)


def test_each_member_has_a_mapping_of_its_own(sharing: Sharing) -> None:
    first = Caller(sharing, 1)
    callers = [Caller(sharing, 1) for _ in range(3)]
    first.load()
    callers[0].told().load()
    for caller in callers[1:]:
        caller.told()

    assert [caller.rows for caller in callers] == [{1: (1, "new")}] * 3
    assert len({id(caller.rows) for caller in callers}) == 3


def test_sources_do_not_wait_for_each_other(sharing: Sharing) -> None:
    callers = [
        Caller(sharing, 1),
        Caller(sharing, 1, primary=False),
        Caller(sharing, 1, of=(DEVICES,)),
    ]

    assert [caller.keys for caller in callers] == [[1]] * 3


def test_several_sources_are_loaded_one_after_the_other(sharing: Sharing) -> None:
    both = Caller(sharing, 1, of=(CUSTOMERS, DEVICES))
    reverse = Caller(sharing, 1, of=(DEVICES, CUSTOMERS))

    both.load("customer")
    assert both.is_waiting
    reverse.load("device")  # It holds nothing while it waits, so that they cannot block each other.
    reverse.load("customer")
    both.told().load("device")

    assert both.loaded.rows == [{1: (1, "customer")}, {1: (1, "device")}]
    assert reverse.loaded.rows == [{1: (1, "device")}, {1: (1, "customer")}]
    assert is_free(sharing)


def test_failures_reach_those_who_asked_for_the_key(sharing: Sharing) -> None:
    first = Caller(sharing, 1)
    leader, other, third = Caller(sharing, 1, 2), Caller(sharing, 2, 3), Caller(sharing, 1)
    first.load()
    error = LoadFailed(CUSTOMERS, [3])

    leader.told().load(key_3=error)

    assert (other.told().rows, other.failures) == ({2: (2, "new")}, {3: error})
    assert (leader.failures, third.told().failures) == ({}, {})


def test_a_load_that_raises_fails_for_all_its_members_and_no_others(sharing: Sharing) -> None:
    first = Caller(sharing, 1)
    leader, other = Caller(sharing, 1, 2), Caller(sharing, 2, 3)
    first.load()
    leader.told()
    late = Caller(sharing, 4)
    error = LoadFailed(CUSTOMERS, [1, 2, 3])

    leader.fail(error)

    for caller, keys in ((leader, [1, 2]), (other.told(), [2, 3])):
        assert caller.rows == {}
        assert list(caller.failures) == keys
        for failure in caller.failures.values():
            assert isinstance(failure, LoadFailed)
            assert list(failure.keys) == keys
            assert failure.__cause__ is error
    assert late.told().load().rows == {4: (4, "new")}
    assert is_free(sharing)


def test_a_mistake_in_a_load_is_the_leaders_to_hear(sharing: Sharing) -> None:
    first = Caller(sharing, 1)
    leader, other = Caller(sharing, 1), Caller(sharing, 2)
    first.load()
    leader.told()

    with pytest.raises(ZeroDivisionError):
        leader.fail(ZeroDivisionError())

    assert list(other.told().failures) == [2]
    assert is_free(sharing)
