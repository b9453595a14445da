"""What `lookup` gives: snapshots by key, and where each of them came from."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from refcache.core.exceptions import InvalidKey
from refcache.core.keys import Key
from refcache.core.reasons import GRAVITY, STALE, Tier, Trace
from refcache.core.snapshots import Snapshot
from refcache.core.sources import ABSENT, FAILED
from refcache.reading.answers import Answer, Overrides, snapshots
from refcache.reading.planning import Plan

TIERS = list(Tier)


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where an answer came from.

    Args:
        tier: `redis`; `local` where any part of it is a copy in this process; `database` where any
            part was loaded for this read.
        age: Seconds since its oldest part was loaded, or last known to be current; 0.0 where all
            of it was loaded for this read.
        stale: Whether it may be older than what the database holds, as the declaration allows.
        absent: Whether there is no such row.
        why: Why it is not simply a fresh value from Redis; `fresh` where it is.
        failed: Whether nobody could say what the row is, or whether there is one.
    """

    tier: Literal["redis", "local", "database"]
    age: float
    stale: bool
    absent: bool
    why: str
    failed: bool = False


class Lookup(Mapping[Key, Snapshot]):
    """Snapshots by key, in the order asked for; an absent row's key has the placeholder.

    `lookup["7"]` is `lookup[7]`. `None` and keys that cannot be one are not in it; what was wrong
    with the latter is in `errors`.
    """

    def __init__(
        self,
        snapshots: Mapping[Key, Snapshot],
        errors: Mapping[object, InvalidKey],
        answer: Answer,
        cast: Callable[[object], Key],
    ) -> None:
        self.errors = dict(errors)
        self._snapshots = snapshots
        self._answer = answer
        self._cast = cast

    def __getitem__(self, key: object) -> Snapshot:
        try:
            return self._snapshots[self._cast(key)]
        except InvalidKey:
            raise KeyError(key) from None

    def __iter__(self) -> Iterator[Key]:
        return iter(self._snapshots)

    def __len__(self) -> int:
        return len(self._snapshots)

    def __repr__(self) -> str:
        return f"Lookup({dict(self._snapshots)!r})"

    def has_failed(self, key: object) -> bool:
        """Whether nobody could say what the row of *key* is, or whether there is one."""
        try:
            return self._cast(key) in self._answer.failed
        except InvalidKey:
            return False

    def provenance(self, key: object) -> Provenance:
        """Where the answer for *key* came from.

        Raises:
            KeyError: It was not asked for.
        """
        try:
            cast = self._cast(key)
            row = self._answer.gathered.rows[cast]
        except (InvalidKey, KeyError):
            raise KeyError(key) from None
        traces = list(self._answer.gathered.traces(cast))
        if row is FAILED or cast in self._answer.failed or not traces:
            return _FAILED
        return _provenance(traces, is_absent=row is ABSENT)

    def provenances(self) -> dict[Key, Provenance]:
        """The same for every key that was asked for, in order."""
        return {key: self.provenance(key) for key in self._answer.keys.cast}


_FAILED = Provenance("database", 0.0, stale=False, absent=False, why="load failed", failed=True)


def _provenance(traces: list[Trace], *, is_absent: bool) -> Provenance:
    """That of an answer whose parts have *traces*: the farthest tier, the gravest reason."""
    why = max((trace.why for trace in traces), key=GRAVITY.__getitem__)
    tier = max((trace.tier for trace in traces), key=TIERS.index)
    is_copy = any(trace.tier is Tier.LOCAL for trace in traces)
    return Provenance(
        tier=tier.value,
        age=max(trace.age_ms for trace in traces) / 1000,
        stale=is_copy or any(trace.why in STALE for trace in traces),
        absent=is_absent,
        why=str(why),
    )


def as_lookup(plan: Plan, found: Answer, overrides: Overrides) -> Lookup:
    by_key = snapshots(plan, found, overrides)
    return Lookup(by_key, found.keys.errors, found, plan.cast)
