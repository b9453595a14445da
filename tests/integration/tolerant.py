"""A registry whose time is an argument, and a table that cannot be read in full."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from django.db import connection

from refcache import Lookup, ReferenceCache
from refcache.connections import Place
from refcache.core.drivers import run
from refcache.core.exceptions import StoreLeftAlone
from refcache.core.operations import Operation, Refresh
from refcache.reading.answers import Overrides
from refcache.tiers.memory import MemoryStore

NAME = "broken"  # of a row that `unreadable` makes so
VIEW = """
    CREATE VIEW {table} AS SELECT {others}, CASE WHEN name = '{name}'
    THEN (1 / (length(name) - {length}))::varchar ELSE name END AS name FROM {table}_whole
"""


class Leavable:
    """A store that can be left alone, as the breaker does."""

    def __init__(self, below: MemoryStore) -> None:
        self._below = below
        self.is_left_alone = False

    def perform(self, operation: Operation) -> Any:
        if self.is_left_alone:
            raise StoreLeftAlone("as the test wants it")
        return self._below.perform(operation)

    async def aperform(self, operation: Operation) -> Any:
        return self.perform(operation)


class Timed:
    """A registry on a store in memory; refreshes are collected, and not performed."""

    def __init__(self) -> None:
        self.now = 1_000_000  # ms
        self.refreshes: list[Refresh] = []
        self.store = Leavable(MemoryStore(lambda: self.now))
        self.registry = ReferenceCache(Place(self.store, b"timed:"))
        runtime = self.registry.runtime
        terms = replace(runtime.terms, monotonic=lambda: self.now / 1000, jitter=0.0, early=0.0)
        self.registry._running._runtime = replace(runtime, terms=terms)

    def lookup(self, name: str, keys: list[Any], **overrides: Any) -> Lookup:
        steps = self.registry[name]._lookup(keys, Overrides("placeholder", **overrides))
        return run(steps, self._perform)

    def _perform(self, operation: Any) -> Any:
        if isinstance(operation, Refresh):
            return self.refreshes.append(operation)
        return self.registry.runtime.backend.perform(operation)

    def refresh(self) -> None:
        """Do what was put off."""
        for each in self.refreshes:
            self.registry.refresh(each.keys, each.horizon_ms / 1000)
        self.refreshes = []

    def pass_time(self, seconds: float) -> None:
        self.now += round(1000 * seconds)


@contextmanager
def unreadable(table: str = "testapp_customer") -> Iterator[None]:
    """Let rows whose name is `NAME` be errors to whoever reads them."""
    with connection.cursor() as cursor:
        description = connection.introspection.get_table_description(cursor, table)
        others = ", ".join(f'"{each.name}"' for each in description if each.name != "name")
        cursor.execute(f"ALTER TABLE {table} RENAME TO {table}_whole")
        cursor.execute(VIEW.format(table=table, others=others, name=NAME, length=len(NAME)))
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP VIEW {table}")
            cursor.execute(f"ALTER TABLE {table}_whole RENAME TO {table}")
