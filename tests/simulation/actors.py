"""Who lives in the simulator's town: readers and writers around the shipped generators."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from refcache.core.composition import resolve
from refcache.core.exceptions import ReferenceUnavailable, StoreUnavailable
from refcache.core.keys import Key
from refcache.core.operations import Wait
from refcache.core.pages import Mode
from refcache.core.sources import ABSENT
from refcache.core.terms import Terms
from refcache.core.writes import KnownSchemas, Touched, mark, release
from tests.simulation.town import FAMILIES, Place, Row, View, touched

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


class Seen(NamedTuple):
    """One answer: None for an absent row."""

    kind: str
    key: Key
    row: Row | None


@dataclass(frozen=True)
class Reader:
    view: View
    wanted: Sequence[tuple[str, Sequence[Key]]]
    mode: Mode = Mode.TRUST
    may_fill: bool = True

    def steps(self, terms: Terms) -> Steps:
        """Returns what was seen; nothing where the database could not be read."""
        nodes = [(self.view.node(kind), keys) for kind, keys in self.wanted]
        try:
            gathered = yield from resolve(nodes, terms, self.mode)
        except ReferenceUnavailable:
            return []
        return [
            Seen(kind, key, None if row is ABSENT else row)
            for (kind, keys), found in zip(self.wanted, gathered, strict=True)
            for key in keys
            for row in [found.compose(key)]
        ]


@dataclass(frozen=True)
class Writer:
    """One transaction; `whole` marks the epoch of every table instead of the rows."""

    changes: Changes
    known: KnownSchemas
    whole: bool = False
    locks_first: bool = False
    commits: bool = True

    def steps(self, terms: Terms) -> Steps:
        token, touches = terms.token(), self._touches()
        if self.locks_first:
            yield Lock(tuple(self.changes))
        try:
            yield from mark(touches, token, terms, self.known)
        except StoreUnavailable:  # A strict write: refused. Its marks, if made, expire.
            yield Rollback()
            return
        if not self.locks_first:
            yield Lock(tuple(self.changes))
        yield Commit(self.changes) if self.commits else Rollback()
        yield from released(touches, token, terms, self.known)

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


Actor = Reader | Writer | Stranger
