"""One declared lookup, as callers use it."""

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

from asgiref.sync import sync_to_async

from refcache.core.batches import in_batches
from refcache.core.exceptions import InvalidKey
from refcache.core.keys import Key
from refcache.core.pages import Ask, Mode
from refcache.core.protocol import answer
from refcache.core.snapshots import Snapshot
from refcache.core.sources import ABSENT, Source
from refcache.core.terms import Steps, Terms
from refcache.core.writes import Touched
from refcache.lookup import Lookup
from refcache.reading.answers import (
    Answer,
    OnMissing,
    answers,
    cast_keys,
    is_null,
    snapshots,
    stand_in,
)
from refcache.reading.planning import Plan
from refcache.reading.warming import (
    WarmCounts,
    add,
    all_keys,
    count_rows,
    warm_batch,
)
from refcache.writing.invalidation import Invalidation
from refcache.writing.touching import touched_rows

T = TypeVar("T")


class Registry(Protocol):
    """What a reference needs of its registry."""

    @property
    def terms(self) -> Terms: ...

    @property
    def invalidation(self) -> Invalidation: ...

    def plan(self, name: str) -> Plan: ...

    def run(self, steps: Steps[T]) -> T: ...

    async def arun(self, steps: Steps[T]) -> T: ...


class Reference:
    """A registered reference. Made by `references[name]`; cheap, and safe to keep."""

    def __init__(self, registry: Registry, name: str) -> None:
        self._registry = registry
        self.name = name

    def __repr__(self) -> str:
        return f"<Reference {self.name}>"

    @property
    def plan(self) -> Plan:
        return self._registry.plan(self.name)

    @property
    def alias(self) -> str:
        """The database alias that it loads from now."""
        return self.plan.origin.alias

    @property
    def has_composite_key(self) -> bool:
        return len(self.plan.key_names) > 1

    def rejected(self, keys: Iterable[object]) -> list[InvalidKey]:
        """What is wrong with those of *keys* that cannot be one."""
        return list(cast_keys(self.plan, keys, self._registry.terms).errors.values())

    def count(self) -> int:
        """How many rows count, by a query."""
        return count_rows(self.plan)

    def get(self, key: object, *, on_missing: OnMissing = "omit") -> Snapshot | None:
        """The snapshot of *key*, or None where there is no such row, or *key* is None.

        Raises:
            InvalidKey: *key* cannot be one of this reference.
            MissingRows: There is no such row and *on_missing* is "raise".
            ReferenceUnavailable: Neither cache nor database could answer.
        """
        return self._registry.run(self._one(key, on_missing))

    async def aget(self, key: object, *, on_missing: OnMissing = "omit") -> Snapshot | None:
        return await self._registry.arun(self._one(key, on_missing))

    def get_many(
        self, keys: Iterable[object], *, on_missing: OnMissing = "omit"
    ) -> dict[Key, Snapshot]:
        """Snapshots by key, in the order asked for; absent keys are left out, as `in_bulk` does.

        Keys come back cast: `"7"` as `7`. Nulls, and keys that cannot be one, are left out.

        Raises:
            MissingRows: A row is missing and *on_missing* is "raise".
            ReferenceUnavailable: Neither cache nor database could answer.
        """
        return self._registry.run(self._many(keys, on_missing))

    async def aget_many(
        self, keys: Iterable[object], *, on_missing: OnMissing = "omit"
    ) -> dict[Key, Snapshot]:
        return await self._registry.arun(self._many(keys, on_missing))

    def lookup(self, keys: Iterable[object], *, on_missing: OnMissing = "placeholder") -> Lookup:
        """As `get_many`, with placeholders for missing rows, and each answer's provenance."""
        return self._registry.run(self._lookup(keys, on_missing))

    async def alookup(
        self, keys: Iterable[object], *, on_missing: OnMissing = "placeholder"
    ) -> Lookup:
        return await self._registry.arun(self._lookup(keys, on_missing))

    def placeholder(self, key: Key) -> Snapshot:
        """What stands for a row that is missing: falsy, as declared by `missing`."""
        return stand_in(self.plan, key)

    def invalidate(self, *keys: object) -> None:
        """Drop what is stored of these rows; in a transaction, others see no old value after it.

        For writes that Django's signals did not see.
        """
        plan = self.plan
        cast = [plan.cast(key) for key in keys if not is_null(key)]
        index = plan.node.index
        primary = cast if index is None else self._primary_keys(index, cast)
        self._invalidate([touched_rows(plan.node, cast, primary)])

    async def ainvalidate(self, *keys: object) -> None:
        await sync_to_async(self.invalidate)(*keys)

    def invalidate_all(self) -> None:
        """Drop everything that is stored of this reference, in O(1): a new epoch."""
        self._invalidate([Touched(self.plan.node.rows.family, (), whole=True)])

    async def ainvalidate_all(self) -> None:
        await sync_to_async(self.invalidate_all)()

    def warm(
        self,
        keys: Iterable[object] | None = None,
        *,
        batch_size: int = 500,
        only_missing: bool = False,
        progress: Callable[[WarmCounts], None] | None = None,
    ) -> WarmCounts:
        """Load rows into the store: the ones of *keys*, or all of them.

        Safe beside live traffic: a row that is written meanwhile is not filled.

        Args:
            keys: Those of the reference; None: all rows that count, streamed.
            batch_size: How many rows are loaded and stored at a time.
            only_missing: Leave alone what is stored and fresh.
            progress: Called after each batch with the counts so far.
        """
        plan, counts = self.plan, WarmCounts()
        for batch in in_batches(all_keys(plan, batch_size) if keys is None else keys, batch_size):
            steps = warm_batch(plan, batch, self._registry.terms, only_missing=only_missing)
            counts = add(counts, self._registry.run(steps))
            if progress is not None:
                progress(counts)
        return counts

    def _invalidate(self, touched: list[Touched]) -> None:
        self._registry.invalidation.invalidate(self.alias, touched)

    def _primary_keys(self, index: Source, keys: list[Key]) -> list[Key]:
        """The rows that have these keys, and those that the store believes to have them."""
        found: set[Key] = set()
        for mode in (Mode.TRUST, Mode.RELOAD):
            page = self._registry.run(answer([Ask(index, keys, mode)], self._registry.terms))[0]
            found.update(page.rows.values())
        return list(found - {ABSENT})

    def _one(self, key: object, on_missing: OnMissing) -> Steps[Snapshot | None]:
        found = yield from self._answer([key])
        if found.keys.errors:
            raise next(iter(found.keys.errors.values()))
        return next(iter(snapshots(self.plan, found, on_missing).values()), None)

    def _many(self, keys: Iterable[object], on_missing: OnMissing) -> Steps[dict[Key, Snapshot]]:
        found = yield from self._answer(keys)
        return snapshots(self.plan, found, on_missing)

    def _lookup(self, keys: Iterable[object], on_missing: OnMissing) -> Steps[Lookup]:
        found = yield from self._answer(keys)
        return as_lookup(self.plan, found, on_missing)

    def _answer(self, keys: Iterable[object]) -> Steps[Answer]:
        plan = self.plan
        found = yield from answers([(plan, keys)], self._registry.terms)
        return found[0]


def as_lookup(plan: Plan, found: Answer, on_missing: OnMissing) -> Lookup:
    by_key = snapshots(plan, found, on_missing)
    return Lookup(by_key, found.keys.errors, found.gathered, plan.cast)
