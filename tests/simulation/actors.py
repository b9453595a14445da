"""Who lives in the simulator's town: readers and writers around the shipped generators."""

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from refcache.core.exceptions import StoreUnavailable
from refcache.core.keys import Key
from refcache.core.operations import Wait
from refcache.core.pages import Mode
from refcache.core.reasons import STALE, Tier, Trace, Why
from refcache.core.sources import ABSENT, FAILED
from refcache.core.staleness import FRESH, Policy
from refcache.core.terms import Terms
from refcache.core.writes import KnownSchemas, Touched, mark, release
from refcache.reading.answers import answers
from tests.simulation.town import FAMILIES, TTL, Place, Row, View, touched

Steps = Generator[Any, Any, Any]
Changes = Mapping[Place, Row | None]
RETRY = 0.5  # seconds between two tries to release


class Lock(NamedTuple):
    """Wait for the locks of rows, and take them all at once."""

    places: Sequence[Place]


class Commit(NamedTuple):
    """End the transaction; the reply says whether it was committed."""

    changes: Changes
    is_foreign: bool = False


class Rollback(NamedTuple):
    """End the transaction without a change."""


class Told(NamedTuple):
    """From here on nobody may read what a foreign write replaced."""

    places: Sequence[Place]


class Drop(NamedTuple):
    """This process's copies of what it writes are dropped."""

    touches: Sequence[Touched]
    places: Iterable[Place] = ()  # that are committed


class Seen(NamedTuple):
    """One answer: None for an absent row; copies in it were current *copied_ms* ago, or later."""

    kind: str
    key: Key
    row: Row | None
    copied_ms: int
    overdue_ms: int  # how much older than accepted a part of it is; negative where none is


class Wish:
    """What `answers` needs of a plan: one kind of rows, as a reader wants them."""

    def __init__(self, view: View, kind: str, policy: Policy, place: int = 0) -> None:
        self.node, self.policy = view.node(kind), policy
        self.declaration = self
        self.name = f"{place} {kind}"
        self.integers = (0, 2**31)
        self.key_names = ("key",)

    def cast(self, key: Key) -> Key:
        return key


@dataclass(frozen=True)
class Reader:
    view: View
    wanted: Sequence[tuple[str, Sequence[Key]]]
    mode: Mode = Mode.TRUST
    may_fill: bool = True
    policy: Policy = FRESH
    process: int = 0
    horizon_ms: int = 0

    def steps(self, terms: Terms) -> Steps:
        """Returns what was seen; nothing where the database could not be read."""
        plans: list[tuple[Any, Sequence[Key]]] = [
            (Wish(self.view, kind, self.policy, place), keys)
            for place, (kind, keys) in enumerate(self.wanted)
        ]
        found = yield from answers(plans, terms, self.mode, horizon_ms=self.horizon_ms)
        if self.mode is Mode.RENEW:  # Nobody looks at what comes of it.
            return []
        return [
            self._seen(kind, key, None if row is ABSENT else row, each.gathered.traces(key))
            for (kind, keys), each in zip(self.wanted, found, strict=True)
            for key in keys
            if (row := each.gathered.compose(key)) is not FAILED
        ]

    def _seen(self, kind: str, key: Key, row: Row | None, traces: Iterable[Trace]) -> Seen:
        told = list(traces)
        copied = [self._window_ms(trace) for trace in told if trace.tier is Tier.LOCAL]
        overdue = [
            trace.age_ms - self._window_ms(trace) - (trace.tier is Tier.REDIS) * round(1000 * TTL)
            for trace in told
            if trace.tier is Tier.LOCAL or trace.why in STALE
        ]
        return Seen(kind, key, row, max(copied, default=0), max(overdue, default=-1))

    def _window_ms(self, trace: Trace) -> int:
        if trace.why in (Why.LOAD_SLOW, Why.LOAD_FAILED):
            return self.policy.if_error_ms
        return self.policy.while_revalidate_ms


@dataclass(frozen=True)
class Writer:
    """One transaction; `whole` marks the epoch of every table instead of the rows.

    One that is not strict writes what it cannot mark; others may read what it replaces until the
    store has heard of it, but its own process, which asks the store of nothing meanwhile, may not.
    """

    changes: Changes
    known: KnownSchemas
    whole: bool = False
    locks_first: bool = False
    commits: bool = True
    process: int = 0
    is_strict: bool = True

    def steps(self, terms: Terms) -> Steps:
        token, touches, is_marked = terms.token(), self._touches(), True
        if self.locks_first:
            yield Lock(tuple(self.changes))
        yield Drop(touches)
        try:
            yield from mark(touches, token, terms, self.known)
        except StoreUnavailable:  # A strict write: refused. Its marks, if made, expire.
            if self.is_strict:
                yield Rollback()
                return
            is_marked = False
        if not self.locks_first:
            yield Lock(tuple(self.changes))
        yield Commit(self.changes, is_foreign=not is_marked) if self.commits else Rollback()
        yield Drop(touches, self.changes if self.commits else ())
        yield from released(touches, token, terms, self.known)
        yield Told(tuple(self.changes))

    def _touches(self) -> list[Touched]:
        if self.whole:
            return [Touched(family, (), whole=True) for family in FAMILIES.values()]
        return touched(self.changes)


@dataclass(frozen=True)
class Stranger:
    """Writes without the protocol, then invalidates."""

    changes: Changes
    known: KnownSchemas
    whole: bool = False
    process: int = -1  # none of ours

    def steps(self, terms: Terms) -> Steps:
        yield Lock(tuple(self.changes))
        yield Commit(self.changes, is_foreign=True)
        touches = touched(self.changes)
        if self.whole:
            touches = [Touched(family, (), whole=True) for family in FAMILIES.values()]
        yield from released(touches, terms.token(), terms, self.known)
        yield Told(tuple(self.changes))


def released(touches: Sequence[Touched], token: bytes, terms: Terms, known: KnownSchemas) -> Steps:
    """Release, and again until the store has heard it."""
    while True:
        try:
            yield from release(touches, token, terms, known)
        except StoreUnavailable:
            yield Wait(RETRY)
        else:
            return


@dataclass(frozen=True)
class Beside:
    """What a reader has begun beside itself."""

    inner: Steps
    process: int

    def steps(self, terms: Terms) -> Steps:
        del terms
        return self.inner


Actor = Reader | Writer | Stranger | Beside
