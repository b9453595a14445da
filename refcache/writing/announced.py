"""Saves and bulk inserts under way in this thread: what they have marked, and will insert."""

import inspect
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID
from weakref import ref

from django.db.models import Model

from refcache.core.writes import Touched
from refcache.sql.statements import Statement, Verb
from refcache.writing.transactions import names, without

DEEPEST = 100  # saves within saves; what is older has failed, on an instance that lives on
SAVING = Model.save_base.__code__
# Types that a column stores as they are, so that values can be compared.
PLAIN = (int, str, bool)


@dataclass(slots=True)
class Save:
    """A save between its signals.

    Args:
        tables: Those that its row lies in.
        token: Of its marks, where the save is to release them itself.
        touched: What it has marked.
    """

    instance: ref[Model]
    alias: str
    tables: frozenset[str]
    token: bytes | None
    touched: Sequence[Touched]
    at: float = field(default_factory=time.monotonic)
    done: set[tuple[Verb, str]] = field(default_factory=set)

    def is_due(self, alias: str, statement: Statement) -> bool:
        """Whether it may make *statement*: it updates and inserts once per table."""
        return (
            self.alias == alias
            and statement.table in self.tables
            and (statement.verb, statement.table) not in self.done
            and _is_saving(self.instance())
        )


class Announced(threading.local):
    """What this thread's statements need not be marked for, as somebody else sees to it.

    A save may make others before it is done. One that failed has no `post_save`: its markers
    expire, as nobody can say whether the database has done what it was asked.
    """

    def __init__(self) -> None:
        self._saves: list[Save] = []
        self._bulks: list[tuple[str, Collection[str]]] = []
        self._keys: list[tuple[str, frozenset[Any]]] = []

    def save(self, save: Save) -> None:
        self._saves = [each for each in self._saves if each.instance() is not None]
        self._saves.append(save)
        del self._saves[:-DEEPEST]

    def saved(self, instance: Model) -> Save | None:
        """The save of *instance* is done; what stands above it has failed."""
        for place in range(len(self._saves) - 1, -1, -1):
            if self._saves[place].instance() is instance:
                found = self._saves[place]
                del self._saves[place:]
                return found
        return None

    @contextmanager
    def bulk(self, alias: str, tables: Collection[str]) -> Iterator[None]:
        """Whatever is inserted into *tables* meanwhile."""
        self._bulks.append((alias, tables))
        try:
            yield
        finally:
            self._bulks.pop()

    @contextmanager
    def rows(self, alias: str, keys: Iterable[Any]) -> Iterator[None]:
        """Rows that are locked, whose primary keys are as the database has them."""
        self._keys.append((alias, frozenset(keys)))
        try:
            yield
        finally:
            self._keys.pop()

    def is_locked(self, alias: str, key: Any) -> bool:
        """Whether *key* was announced as one of `rows`."""
        return any(alias == where and key in keys for where, keys in self._keys)

    def has_insert(self, alias: str, statement: Statement, params: Sequence[Any] | None) -> bool:
        """Whether *statement* was announced: its rows' keys are known, or will be."""
        if statement.verb is not Verb.INSERT:
            return False
        if any(alias == where and statement.table in tables for where, tables in self._bulks):
            return True
        for save in reversed(self._saves):
            row = save.instance()
            if row is None or not save.is_due(alias, statement):
                continue
            # Whoever else inserts in between has other values.
            if statement.adds_only and _holds(statement, params, row):
                save.done.add((statement.verb, statement.table))
                return True
        return False

    def unmarked(
        self, alias: str, statement: Statement, touched: Sequence[Touched], longest: float
    ) -> Sequence[Touched]:
        """What of *touched* the save that makes *statement* has not marked.

        Args:
            alias: The database.
            statement: What is about to be executed.
            touched: By it.
            longest: For how many seconds a mark is relied upon.
        """
        if statement.verb is not Verb.UPDATE:
            return touched
        oldest = time.monotonic() - longest
        for save in reversed(self._saves):
            if save.token is None or save.at < oldest or not save.is_due(alias, statement):
                continue
            marked = {name for each in save.touched for name in names(each)}
            if not (left := without(touched, marked.__contains__)):
                # Should it fail now, it has made its statement; the next one is another's.
                save.done.add((statement.verb, statement.table))
                return left
        return touched


def _is_saving(instance: Model | None) -> bool:
    """Whether a save of *instance* is what has led here; one that was refused is no more."""
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code is SAVING and frame.f_locals.get("self") is instance:
            return True
        frame = frame.f_back
    return False


def _holds(statement: Statement, params: Sequence[Any] | None, instance: Model) -> bool:
    """Whether the inserted values are the instance's, as far as they can be compared."""
    if statement.places is None or params is None:
        return True
    fields = {each.column: each for each in instance._meta.concrete_fields}
    for column, place in statement.places[0].items():
        field_ = fields.get(column)
        if field_ is None:
            return False
        value = instance.__dict__.get(field_.attname)
        if place is not None and not _is_same(value, params[place], is_key=field_.primary_key):
            return False
    return len(statement.places) == 1


def _is_same(value: object, param: object, *, is_key: bool) -> bool:
    """Whether *param* may be *value* as the database takes it; a key must be known to be it."""
    if isinstance(value, UUID):
        return str(param).replace("-", "") == value.hex
    return value == param if type(value) in PLAIN or is_key else True
