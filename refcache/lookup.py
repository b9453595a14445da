"""What `lookup` gives: snapshots by key, and where each of them came from."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from refcache.core.composition import Gathered
from refcache.core.exceptions import InvalidKey
from refcache.core.keys import Key
from refcache.core.snapshots import Snapshot
from refcache.core.sources import ABSENT

Tier = Literal["redis", "database"]


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where an answer came from.

    Args:
        tier: `database` where any part of it was loaded for this read.
        age: Seconds since its oldest part was loaded; 0.0 for one that this read loaded.
        stale: Whether it was past its TTL, and served under the declared tolerance.
        absent: Whether there is no such row.
    """

    tier: Tier
    age: float
    stale: bool
    absent: bool


class Lookup(Mapping[Key, Snapshot]):
    """Snapshots by key, in the order asked for; an absent row's key has the placeholder.

    `lookup["7"]` is `lookup[7]`. `None` and keys that cannot be one are not in it; what was wrong
    with the latter is in `errors`.
    """

    def __init__(
        self,
        snapshots: Mapping[Key, Snapshot],
        errors: Mapping[object, InvalidKey],
        gathered: Gathered,
        cast: Callable[[object], Key],
    ) -> None:
        self.errors = dict(errors)
        self._snapshots = snapshots
        self._gathered = gathered
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

    def provenance(self, key: object) -> Provenance:
        """Where the answer for *key* came from.

        Raises:
            KeyError: It was not asked for.
        """
        try:
            cast = self._cast(key)
            row = self._gathered.rows[cast]
        except (InvalidKey, KeyError):
            raise KeyError(key) from None
        trace = self._gathered.trace(cast)
        return Provenance(
            tier="database" if trace.is_loaded else "redis",
            age=0.0 if trace.is_loaded else trace.age_ms / 1000,
            stale=False,
            absent=row is ABSENT,
        )
