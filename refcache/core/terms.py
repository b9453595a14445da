"""What every step of the protocol is given: durations, randomness and whom to tell."""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from refcache.core.copies import Copies
from refcache.core.events import Event
from refcache.core.operations import Operation

T = TypeVar("T")
Steps = Generator[Operation, Any, T]


@dataclass(frozen=True, slots=True)
class Terms:
    """Durations in seconds, and what is random or a clock, injected.

    `token` gives 8 bytes and `epoch` 12 that are never given twice; `chance` a float in [0, 1);
    `monotonic` seconds. `early` is the beta of `pages.horizon_ms`; 0: nothing is refreshed early.
    """

    token: Callable[[], bytes]
    epoch: Callable[[], bytes]
    chance: Callable[[], float]
    emit: Callable[[Event], None]
    lease_timeout: float = 10.0
    lease_wait: float = 1.0
    write_timeout: float = 60.0
    jitter: float = 0.1
    early: float = 0.0
    monotonic: Callable[[], float] = lambda: 0.0
    copies: Copies = field(default_factory=Copies)

    @property
    def marks_hold(self) -> float:
        """For how many seconds a marker is relied upon; the rest is for the write itself."""
        return self.write_timeout / 2
