"""Calls timed side by side, so that whatever else the machine does meets all of them."""

from collections.abc import Callable, Sequence
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple


def nothing() -> None:
    """What needs no preparation."""


class Case(NamedTuple):
    """A call to be timed; `prepare` runs before each, and is not."""

    title: str
    call: Callable[[], Any]
    prepare: Callable[[], Any] = nothing


class Timing(NamedTuple):
    """A case's seconds, round by round."""

    case: Case
    seconds: list[float]

    @property
    def median(self) -> float:
        return median(self.seconds)

    @property
    def fastest(self) -> float:
        """What it takes when nothing else disturbs it."""
        return min(self.seconds)

    def ratio(self, base: "Timing") -> float:
        """How many times as long as *base*: the median over the rounds."""
        return median(a / b for a, b in zip(self.seconds, base.seconds, strict=True))


def measure(cases: Sequence[Case], rounds: int) -> list[Timing]:
    """Each case once per round, in turning order; a tenth more rounds first, unmeasured.

    Once, as a page reads once: many calls in a row would run from the processor's caches.
    """
    timings = [Timing(case, []) for case in cases]
    for number in range(-(rounds // 10), rounds):
        first = number % len(timings)
        for timing in (*timings[first:], *timings[:first]):
            timing.case.prepare()
            start = perf_counter()
            timing.case.call()
            seconds = perf_counter() - start
            if number >= 0:
                timing.seconds.append(seconds)
    return timings
