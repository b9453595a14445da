"""How long past its TTL an answer may still be served: declared, not guessed."""

from dataclasses import dataclass
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
