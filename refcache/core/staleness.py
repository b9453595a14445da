"""How long past its TTL an answer may still be served, and how long a load may take."""

from dataclasses import dataclass, replace
from datetime import timedelta

from refcache.core.exceptions import InvalidReference

LONGEST = 10 * 366 * 86_400  # seconds; milliseconds have six bytes on the wire


def seconds(duration: float | timedelta, name: str) -> float:
    """A duration as float seconds, from 0 to `LONGEST`.

    Raises:
        InvalidReference: *duration* is negative, not finite or no duration at all.
    """
    value: object = duration.total_seconds() if isinstance(duration, timedelta) else duration
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= LONGEST:  # type: ignore[operator]  # is_number
        raise InvalidReference(
            f"{name}={duration!r} is no duration: give seconds or a timedelta, at most ten years."
        )
    return float(value)  # type: ignore[arg-type]  # as above


@dataclass(frozen=True, slots=True)
class Staleness:
    """The declared tolerance beyond the TTL, in seconds.

    Source: RFC 5861, `stale-while-revalidate` and `stale-if-error`.
    """

    while_revalidate: float | timedelta = 0.0
    if_error: float | timedelta = 0.0

    def __post_init__(self) -> None:
        for name in ("while_revalidate", "if_error"):
            object.__setattr__(self, name, seconds(getattr(self, name), name))

    @property
    def longest(self) -> float:
        """For how many seconds past its TTL an entry is kept."""
        return max(seconds(self.while_revalidate, ""), seconds(self.if_error, ""))


@dataclass(frozen=True, slots=True)
class Policy:
    """What one read accepts: old values in two windows, in ms past the TTL, and slow loads.

    Args:
        while_revalidate_ms: Within it an old value is served at once, and loaded anew meanwhile.
        if_error_ms: Within it an old value is served where the database gives none.
        soft_timeout: Seconds after which a load is too slow for those who accept an old value.
        load_timeout: Seconds after which it has failed; None: it may take for ever.
    """

    while_revalidate_ms: int = 0
    if_error_ms: int = 0
    soft_timeout: float | None = None
    load_timeout: float | None = None

    @property
    def is_limited(self) -> bool:
        return self.soft_timeout is not None or self.load_timeout is not None

    @property
    def longest_ms(self) -> int:
        return max(self.while_revalidate_ms, self.if_error_ms)

    def capped(self, max_stale: float | timedelta | None) -> "Policy":
        """The same, but for nothing that is more than *max_stale* seconds past its TTL."""
        if max_stale is None:
            return self
        most = round(1000 * seconds(max_stale, "max_stale"))
        return replace(
            self,
            while_revalidate_ms=min(self.while_revalidate_ms, most),
            if_error_ms=min(self.if_error_ms, most),
        )

    def both(self, other: "Policy") -> "Policy":
        """What two readers of the same rows accept."""
        return Policy(
            min(self.while_revalidate_ms, other.while_revalidate_ms),
            min(self.if_error_ms, other.if_error_ms),
            shortest(self.soft_timeout, other.soft_timeout),
            shortest(self.load_timeout, other.load_timeout),
        )


FRESH = Policy()


def shortest(*durations: float | None) -> float | None:
    """Of those that are limited; None where none is."""
    return min((each for each in durations if each is not None), default=None)
