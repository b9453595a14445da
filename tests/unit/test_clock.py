"""Redis's time from a monotonic clock."""

from hypothesis import given
from hypothesis import strategies as st

from refcache.tiers.clock import TRUSTED_FOR, Clock


class Seconds:
    """A monotonic clock that goes when it is told to."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def test_a_clock_is_not_set_before_the_server_spoke() -> None:
    assert not Clock(Seconds()).is_set


def test_it_goes_on_from_what_the_server_said() -> None:
    seconds = Seconds()
    clock = Clock(seconds)

    clock.set(5_000_000, clock.sent())
    seconds.now += 1.5

    assert clock.is_set
    assert clock.now() == 5_001_500


def test_it_counts_from_when_the_request_left() -> None:
    seconds = Seconds()
    clock = Clock(seconds)
    sent = clock.sent()
    seconds.now += 0.2  # the reply takes its time

    clock.set(5_000_000, sent)

    assert clock.now() == 5_000_200


def test_it_is_set_anew_after_a_while() -> None:
    seconds = Seconds()
    clock = Clock(seconds)
    clock.set(5_000_000, clock.sent())

    seconds.now += TRUSTED_FOR - 0.001
    assert clock.is_set
    seconds.now += 0.002
    assert not clock.is_set

    clock.set(9_000_000, clock.sent())
    assert clock.is_set
    assert clock.now() == 9_000_000


@given(
    server_ms=st.integers(0, 2**47),
    there=st.floats(0, 60),
    back=st.floats(0, 60),
    later=st.floats(0, TRUSTED_FOR),
)
def test_it_is_never_behind_the_server(
    server_ms: int, there: float, back: float, later: float
) -> None:
    seconds = Seconds()
    clock = Clock(seconds)
    sent = clock.sent()
    seconds.now += there  # here the server looks at its clock
    looked = seconds.now
    seconds.now += back
    clock.set(server_ms, sent)
    seconds.now += later

    assert clock.now() >= server_ms + int((seconds.now - looked) * 1000) - 1
