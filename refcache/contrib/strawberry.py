"""strawberry: a DataLoader per reference and request, which ask all together."""

import asyncio
from collections.abc import Iterator, MutableMapping
from datetime import timedelta
from typing import Any

from strawberry.dataloader import DataLoader
from strawberry.extensions import SchemaExtension

from refcache.core.exceptions import (
    InvalidKey,
    MissingRows,
    RefcacheError,
    ReferenceUnavailable,
)
from refcache.core.snapshots import Snapshot
from refcache.declaration import Instead
from refcache.lookup import Lookup
from refcache.reading.answers import Overrides, is_null
from refcache.reference import Reference
from refcache.registry import references

NAME = "references"  # in the context
# Of the event loop, without another load, before all loads are answered together. Fields of rows
# below rows ask later than those of the rows above: with graphql-core 3.2 by 2 ticks per depth.
QUIET_TICKS = 3


class ReferenceLoaders:
    """The DataLoaders of one request: `await loaders["customer"].load(key)`.

    The keys that are asked for in one tick of the event loop, or in ticks that follow closely, are
    one read, whatever the reference. Nothing is remembered, so that what a mutation wrote is seen,
    and each event of a subscription is up to date.

    A null key gives None; one that cannot be a key is an `InvalidKey`, and spoils no other.

    Args:
        on_missing: What a missing row gives: "placeholder", "omit" (None), or "raise".
        on_error: What a row gives that could not be read; None: as declared.
        max_stale: How many seconds past its TTL a value may be; None: as declared.
    """

    def __init__(
        self,
        *,
        on_missing: Instead = "placeholder",
        on_error: Instead | None = None,
        max_stale: float | timedelta | None = None,
    ) -> None:
        self._overrides = Overrides(on_missing, on_error, max_stale)
        self._loaders: dict[str, DataLoader[Any, Snapshot | None]] = {}
        self._wanted: dict[str, list[Any]] = {}
        self._loads = 0
        self._read: asyncio.Task[dict[str, Lookup]] | None = None

    def __getitem__(self, name: str) -> DataLoader[Any, Snapshot | None]:
        """The loader of a reference.

        Raises:
            UnknownReference, InvalidReference: There is no such reference, or it cannot work.
            RuntimeError: No event loop is running.
        """
        _check_loop()
        if name not in self._loaders:
            reference = references[name]
            _ = reference.plan  # What is wrong with it would spoil the others' read.

            async def load(keys: list[Any]) -> list[Snapshot | RefcacheError | None]:
                found = await self._lookup(name, keys)
                return [_answer(key, found, reference, self._overrides) for key in keys]

            self._loaders[name] = DataLoader(load, cache=False)
        return self._loaders[name]

    async def _lookup(self, name: str, keys: list[Any]) -> Lookup:
        self._loads += 1
        self._wanted.setdefault(name, []).extend(keys)
        if self._read is None:
            self._read = asyncio.create_task(self._lookup_all())
        # Several loaders wait for it; one that is cancelled leaves it to the others.
        return (await asyncio.shield(self._read))[name]

    async def _lookup_all(self) -> dict[str, Lookup]:
        """What all loaders want that are asked now, and in ticks that follow closely."""
        quiet, loads = 0, self._loads
        while quiet < QUIET_TICKS:
            await asyncio.sleep(0)
            quiet, loads = (quiet + 1 if loads == self._loads else 0), self._loads
        wanted, self._wanted, self._read = self._wanted, {}, None
        return await references.alookup(
            wanted, on_missing="omit", on_error="omit", max_stale=self._overrides.max_stale
        )


class ReferencesExtension(SchemaExtension):
    """Puts `ReferenceLoaders` into the context of each operation, as `context["references"]`.

    A context that is no mapping gets the attribute `references`; without one, there is a
    dictionary. For options, subclass it and override `loaders()`.
    """

    def loaders(self) -> ReferenceLoaders:
        return ReferenceLoaders()

    def on_operation(self) -> Iterator[None]:
        made, execution = self.loaders(), self.execution_context
        if execution.context is None:
            execution.context = {}
        if isinstance(execution.context, MutableMapping):
            execution.context[NAME] = made
        else:
            setattr(execution.context, NAME, made)
        yield


def _answer(
    key: Any, found: Lookup, reference: Reference, overrides: Overrides
) -> Snapshot | RefcacheError | None:
    """What one key gives; an error is raised for it alone."""
    if is_null(key):
        return None
    plan = reference.plan
    try:
        cast = plan.cast(key)
    except InvalidKey as exc:
        return exc
    if (snapshot := found.get(cast)) is not None:
        return snapshot
    has_failed = found.has_failed(cast)
    on_error = overrides.on_error or plan.declaration.on_error
    match on_error if has_failed else overrides.on_missing:
        case "raise":
            return (ReferenceUnavailable if has_failed else MissingRows)(reference.name, [cast])
        case "placeholder":
            return reference.placeholder(cast)
    return None


def _check_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError(
            "ReferenceLoaders need an event loop: serve the schema with an async view, or await "
            "schema.execute(). Under execute_sync(), and in resolvers that run in a thread, use "
            "ReferenceTo with prefetch_related(), or references[...].get_many()."
        ) from None
