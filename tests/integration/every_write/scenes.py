"""What every kind of write is made of: rows, a write, and whoever reads before and after it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.db import connections
from django.db.models import Model, QuerySet

from refcache import ReferenceCache
from refcache.querysets import ReferenceQuerySet
from tests.integration.watching import statements
from tests.testapp.models import Customer

# PostgreSQL's sequence goes on from test to test: it must never come to this one.
UNUSED_KEY = 10**9

# Each shows one field, so that what is read is one value.
REFERENCES: dict[str, dict[str, Any]] = {
    "customer": {"model": "testapp.Customer", "fields": ["name"]},
    "mail": {"model": "testapp.Customer", "fields": ["name"], "key": "email"},
    "active": {"model": "testapp.Customer", "fields": ["name"], "filter": {"is_active": True}},
    "employer": {"model": "testapp.Customer", "fields": ["company__name"]},
    "member": {"model": "testapp.Member", "fields": ["name"]},
    "membership": {"model": "testapp.Member", "fields": ["club__name"]},
    "pet": {"model": "testapp.Pet", "fields": ["name"]},
    "place": {"model": "testapp.Place", "fields": ["name"]},
    "cafe": {"model": "testapp.Cafe", "fields": ["name"]},
    "currency": {"model": "testapp.Currency", "fields": ["name"]},
    "device": {"model": "testapp.Device", "fields": ["serial"]},
    "meter": {"model": "testapp.Meter", "fields": ["unit"], "key": ("site", "number")},
    "shelf": {"model": "testapp.Shelf", "fields": ["label"]},
}


class Scene(NamedTuple):
    """One write, and what it changes.

    Args:
        reference: One of `REFERENCES`.
        key: Of the row that is looked at.
        before: What is read before the write is committed; None: there is no row.
        after: The same, afterwards.
        write: Performs it.
        neighbour: The key of a row that is not written.
    """

    reference: str
    key: object
    before: str | None
    after: str | None
    write: Callable[[], object]
    neighbour: object


@dataclass
class Writer:
    """Who writes.

    Args:
        alias: The database.
        is_precise: Whether bulk writes are those of `ReferenceQuerySet`.
        lasting: Ends with the test.
        others_read: Has another process read the row.
    """

    alias: str
    is_precise: bool
    lasting: ExitStack = field(default_factory=ExitStack)
    others_read: Callable[[], object] = object

    @property
    def vendor(self) -> str:
        return connections[self.alias].vendor

    def rows(self, model: type[Model]) -> QuerySet[Any]:
        return ReferenceQuerySet(model) if self.is_precise else QuerySet(model)

    def execute(self, sql: str, params: Any = None) -> None:
        with connections[self.alias].cursor() as cursor:
            cursor.execute(sql, params)

    def make(self, sql: str, undo: str) -> None:
        """Something in the database that is no row, until the test ends."""
        self.execute(sql)
        self.lasting.callback(self.execute, undo)


class Router:
    """Has everything read from, and written to, one database."""

    def __init__(self, alias: str) -> None:
        self._alias = alias

    def db_for_read(self, *_: object, **__: object) -> str:
        return self._alias

    def db_for_write(self, *_: object, **__: object) -> str:
        return self._alias


class Stage:
    """Where a scene is played: a writer, and a reader that sees nothing of the writes itself.

    Args:
        alias: The database.
        watching: The registry of the writer's process.
        reading: That of another process; it has no hooks.
    """

    def __init__(self, alias: str, watching: ReferenceCache, reading: ReferenceCache) -> None:
        self.alias = alias
        self.watching = watching
        self._reading = reading
        self.writer = Writer(alias, is_precise=False)
        self.writer.others_read = self.read

    def set(self, arrange: Callable[[Writer], Scene], *, is_precise: bool) -> Scene:
        """Make the rows, and warm what is looked at."""
        self.writer.is_precise = is_precise
        self.scene = arrange(self.writer)
        declared = REFERENCES[self.scene.reference]
        for registry in (self.watching, self._reading):
            registry.register(name=self.scene.reference, using=self.alias, **declared)
        self.warm()
        return self.scene

    def warm(self) -> None:
        """Have it stored, and see that it is."""
        assert self.read() == self.scene.before
        assert self.read_neighbour() is not None
        assert self.dropped() == "nothing"

    def read(self) -> object:
        return self._read(self.scene.key)

    def read_neighbour(self) -> object:
        return self._read(self.scene.neighbour)

    def dropped(self) -> str:
        """What the store has not got any more; a second look says "nothing"."""
        with self.asking() as sent:
            self.read()
        with self.asking() as others:
            self.read_neighbour()
        if others:
            return "reference"
        return "row" if sent else "nothing"

    @contextmanager
    def asking(self) -> Iterator[list[str]]:
        with statements(self.alias) as sent:
            yield sent

    def _read(self, key: object) -> object:
        found = self._reading[self.scene.reference].get(key)
        return next(iter(found.as_dict().values())) if found is not None else None


def ann_and_bob(**fields: Any) -> tuple[Customer, Customer]:
    """One customer who is written, and one who is not."""
    ann = Customer(name="Ann", email="ann@x.org", **fields)
    bob = Customer(name="Bob", email="bob@x.org")
    ann.save()
    bob.save()
    return ann, bob
