"""One declared lookup, as callers use it."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import TypeVar

from asgiref.sync import sync_to_async

from refcache.core.batches import in_batches
from refcache.core.exceptions import InvalidKey
from refcache.core.keys import Key
from refcache.core.snapshots import Snapshot
from refcache.core.terms import Steps
from refcache.core.writes import Touched
from refcache.declaration import Instead
from refcache.lookup import Lookup, as_lookup
from refcache.reading.answers import (
    Overrides,
    answers,
    cast_keys,
    snapshots,
    stand_in,
)
from refcache.reading.warming import (
    WarmCounts,
    add,
    all_keys,
    count_rows,
    warm_batch,
)
from refcache.searching import Searchable
from refcache.writing.by_hand import touched_by_hand, touched_whole

T = TypeVar("T")


class Reference(Searchable):
    """A registered reference. Made by `references[name]`; cheap, and safe to keep."""

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

    def get(
        self,
        key: object,
        *,
        on_missing: Instead = "omit",
        on_error: Instead | None = None,
        max_stale: float | timedelta | None = None,
    ) -> Snapshot | None:
        """The snapshot of *key*, or None where there is no such row, or *key* is None.

        Args:
            key: Of the reference.
            on_missing: What a missing row gives.
            on_error: What a row gives that could not be read; None: as declared.
            max_stale: How many seconds past its TTL a value may be; None: as declared. It can
                only shorten what is declared; 0 takes fresh values alone.

        Raises:
            InvalidKey: *key* cannot be one of this reference.
            MissingRows: There is no such row and *on_missing* is "raise".
            ReferenceUnavailable: Neither cache nor database could answer.
        """
        return self._registry.run(self._one(key, Overrides(on_missing, on_error, max_stale)))

    async def aget(
        self,
        key: object,
        *,
        on_missing: Instead = "omit",
        on_error: Instead | None = None,
        max_stale: float | timedelta | None = None,
    ) -> Snapshot | None:
        return await self._registry.arun(self._one(key, Overrides(on_missing, on_error, max_stale)))

    def get_many(
        self,
        keys: Iterable[object],
        *,
        on_missing: Instead = "omit",
        on_error: Instead | None = None,
        max_stale: float | timedelta | None = None,
    ) -> dict[Key, Snapshot]:
        """Snapshots by key, in the order asked for; absent keys are left out, as `in_bulk` does.

        Keys come back cast: `"7"` as `7`. Nulls, and keys that cannot be one, are left out. For
        the rest see `get`.

        Raises:
            MissingRows: A row is missing and *on_missing* is "raise".
            ReferenceUnavailable: Neither cache nor database could answer for some keys.
        """
        return self._registry.run(self._many(keys, Overrides(on_missing, on_error, max_stale)))

    async def aget_many(
        self,
        keys: Iterable[object],
        *,
        on_missing: Instead = "omit",
        on_error: Instead | None = None,
        max_stale: float | timedelta | None = None,
    ) -> dict[Key, Snapshot]:
        return await self._registry.arun(
            self._many(keys, Overrides(on_missing, on_error, max_stale))
        )

    def lookup(
        self,
        keys: Iterable[object],
        *,
        on_missing: Instead = "placeholder",
        on_error: Instead | None = None,
        max_stale: float | timedelta | None = None,
    ) -> Lookup:
        """As `get_many`, with placeholders for missing rows, and each answer's provenance."""
        return self._registry.run(self._lookup(keys, Overrides(on_missing, on_error, max_stale)))

    async def alookup(
        self,
        keys: Iterable[object],
        *,
        on_missing: Instead = "placeholder",
        on_error: Instead | None = None,
        max_stale: float | timedelta | None = None,
    ) -> Lookup:
        return await self._registry.arun(
            self._lookup(keys, Overrides(on_missing, on_error, max_stale))
        )

    def placeholder(self, key: Key) -> Snapshot:
        """What stands for a row that is missing: falsy, as declared by `missing`."""
        return stand_in(self.plan, key)

    def invalidate(self, *keys: object) -> None:
        """Drop what is stored of these rows, and of rows that they span.

        For writes that nothing has seen. In a transaction: now, and at its end.

        Raises:
            InvalidKey: One of *keys* cannot be a key.
            InvalidationError: The reference is strict, and the store cannot be told.
        """
        terms = self._registry.terms
        self._invalidate(touched_by_hand(self.plan, keys, terms, self._registry.run))

    async def ainvalidate(self, *keys: object) -> None:
        await sync_to_async(self.invalidate)(*keys)

    def invalidate_all(self) -> None:
        """Drop everything that is stored of this reference, and of rows that it spans.

        In O(1), by a new epoch for each.
        """
        self._invalidate(touched_whole(self.plan))

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

    def _invalidate(self, touched: Iterable[Touched]) -> None:
        is_strict = self.plan.declaration.is_strict
        told = [each._replace(is_strict=is_strict, cause="invalidate") for each in touched]
        self._registry.invalidation.invalidate(self.alias, told)

    def _one(self, key: object, overrides: Overrides) -> Steps[Snapshot | None]:
        found = yield from self._lookup([key], overrides)
        if found.errors:
            raise next(iter(found.errors.values()))
        return next(iter(found.values()), None)

    def _many(self, keys: Iterable[object], overrides: Overrides) -> Steps[dict[Key, Snapshot]]:
        plan, terms = self.plan, self._registry.terms
        found = yield from answers([(plan, keys)], terms, max_stale=overrides.max_stale)
        return snapshots(plan, found[0], overrides)

    def _lookup(self, keys: Iterable[object], overrides: Overrides) -> Steps[Lookup]:
        plan, terms = self.plan, self._registry.terms
        found = yield from answers([(plan, keys)], terms, max_stale=overrides.max_stale)
        return as_lookup(plan, found[0], overrides)
