"""Database tables that references read: what a write to their rows touches."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Model, deletion

from refcache.core.exceptions import InvalidKey
from refcache.core.keys import Key, index_text, key_text
from refcache.core.writes import Touched
from refcache.reading.answers import is_null
from refcache.reading.columns import stored_field
from refcache.reading.models import AnyField, primary_fields
from refcache.reading.watched import Watch, WatchedIndex
from refcache.writing.touching import lineage, shares_key

# Django 6.1's; the database itself then changes rows that no statement names.
DATABASE_ON_DELETE: Any = getattr(deletion, "DatabaseOnDelete", ())

TEXTS = frozenset(["CharField", "SlugField", "TextField"])
INTEGERS = frozenset(
    [f"{size}{kind}Field" for size in ("", "Big", "Small") for kind in ("Auto", "Integer")]
    + [f"Positive{size}IntegerField" for size in ("", "Big", "Small")]
)


@dataclass(frozen=True, slots=True)
class WatchedTable:
    """A table as one family of entries depends on it.

    Args:
        watch: The family, and the model that its rows are of.
        has_key: Whether the table's primary key is that of the watch's rows: a parent's need not.
        columns: What the entries depend on; None: any.
        indexes: The keys that lie in this table, each with its columns.
    """

    watch: Watch
    has_key: bool
    columns: frozenset[str] | None
    indexes: tuple[tuple[WatchedIndex, tuple[str, ...]], ...]

    @property
    def has_all_indexes(self) -> bool:
        """Whether no key of its rows lies in a parent's table."""
        return len(self.indexes) == len(self.watch.indexes)

    def touched(self, texts: Iterable[bytes], rows: Iterable[Key]) -> Touched:
        if self.watch.is_whole:
            return self.whole()
        return self._of_sql(tuple(texts), whole=False)._replace(rows=tuple(rows))

    def whole(self) -> Touched:
        return self._of_sql((), whole=True)

    def _of_sql(self, texts: tuple[bytes, ...], *, whole: bool) -> Touched:
        watch = self.watch
        return Touched(
            watch.family, texts, whole, watch.grace, is_strict=watch.is_strict, cause="sql"
        )

    def depends_on(self, written: Iterable[str]) -> bool:
        return self.columns is None or not self.columns.isdisjoint(written)


@dataclass(frozen=True, slots=True)
class Table:
    """One table of one database.

    Args:
        name: As the database knows it, without its schema.
        primary: The columns of its primary key.
        columns: Those, then the columns of other keys: their values name the entries.
        fields: The columns' fields.
        watched: The families of entries that depend on it; at least one.
        cascades: Tables whose deletes the database itself carries on to this one.
        models: Whose rows it holds; several where tables of several schemas have the same name.
    """

    name: str
    primary: tuple[str, ...]
    columns: tuple[str, ...]
    fields: Mapping[str, AnyField]
    watched: tuple[WatchedTable, ...]
    cascades: frozenset[str]
    models: tuple[type[Model], ...]

    @property
    def spellings(self) -> list[str]:
        """As the models call it: perhaps with a schema, each with another one."""
        return list(dict.fromkeys(model._meta.db_table for model in self.models))

    def touched(self, rows: Iterable[Mapping[str, Any]] | None) -> list[Touched]:
        """What changes of rows touch.

        Args:
            rows: Each row's `columns` before and after its change, as the database or JSON gives
                them; None: any row may have changed.
        """
        if rows is None:
            return [each.whole() for each in self.watched]
        values = list(rows)
        return [self._touched(each, values) for each in self.watched]

    def _touched(self, watched: WatchedTable, rows: Sequence[Mapping[str, Any]]) -> Touched:
        is_named = watched.has_key and watched.has_all_indexes
        if not is_named or not all(map(stored_types, self._named(watched))):
            return watched.whole()
        try:
            keys = [self._key(watched, row) for row in rows]
            texts = [key_text(key) for key in keys]
            texts += [text for row in rows for text in index_texts(watched, row)]
        except InvalidKey:
            return watched.whole()
        return watched.touched(dict.fromkeys(texts), dict.fromkeys(keys))

    def _named(self, watched: WatchedTable) -> list[AnyField]:
        """The fields whose values name the entries of *watched*."""
        names = (*self.primary, *(name for _, columns in watched.indexes for name in columns))
        return [self.fields[name] for name in names]

    def _key(self, watched: WatchedTable, row: Mapping[str, Any]) -> Key:
        return watched.watch.cast(joined(row[name] for name in self.primary))


def index_texts(watched: WatchedTable, row: Mapping[str, Any]) -> Iterator[bytes]:
    """The index entries that *row* is found by.

    Raises:
        InvalidKey: A value is none that refcache can spell.
    """
    for index, columns in watched.indexes:
        key = joined(row[name] for name in columns)
        if not is_null(key):
            yield index_text(index.names, index.cast(key))


def joined(values: Iterable[Any]) -> Any:
    """A key of one column or of several."""
    found = tuple(values)
    return found[0] if len(found) == 1 else found


def tables_of(watches: Iterable[Watch]) -> dict[str, Table]:
    """The tables that rows of *watches* lie in, by name."""
    found: dict[str, list[tuple[Watch, type[Model]]]] = {}
    for watch in watches:
        for model in lineage(watch.model):
            if not model._meta.proxy:
                found.setdefault(table_name(model), []).append((watch, model))
    return {name: _table(name, pairs) for name, pairs in found.items()}


def table_name(model: type[Model]) -> str:
    """Without its schema, which some write as `'shop"."customer'`; a dot may be part of a name."""
    return re.split(r"[\"`]\.[\"`]", model._meta.db_table)[-1].strip('"`')


def column_of(field: AnyField) -> str:
    assert field.column is not None  # noqa: S101 - A CompositePrimaryKey has none; its parts have.
    return field.column


def stored_types(column: AnyField) -> tuple[type, ...]:
    """The types of parameters that are the key itself, once they are stored.

    None for a time or a number with a fraction, for one: each database spells it in its own way.
    """
    kind = stored_field(column).get_internal_type()
    if kind in INTEGERS:
        return (int,)
    if kind == "UUIDField":
        return (UUID, str)
    return (str,) if kind in TEXTS else ()


def compared_types(column: AnyField, vendor: str) -> tuple[type, ...]:
    """Those that equal no other key for the database, as text does where its case is ignored."""
    stored = stored_field(column)
    is_text = stored.get_internal_type() in TEXTS
    return () if is_text and not _is_compared_exactly(stored, vendor) else stored_types(column)


def _is_compared_exactly(text: AnyField, vendor: str) -> bool:
    """Whether Django has made the column, of its own type, and nobody has chosen a collation."""
    is_djangos = type(text).__module__.startswith("django.") and text.model._meta.managed
    has_collation = getattr(text, "db_collation", None)
    return vendor in ("postgresql", "sqlite") and is_djangos and not has_collation


def _table(name: str, found: list[tuple[Watch, type[Model]]]) -> Table:
    primary = _primary(found[0][1])
    watched = tuple(_watched(watch, model, primary) for watch, model in found)
    others = (column for each in watched for _, columns in each.indexes for column in columns)
    columns = tuple(dict.fromkeys([*primary, *others]))
    models = dict.fromkeys(model for _, model in found)
    fields = {column_of(each): each for m in models for each in m._meta.local_concrete_fields}
    cascades = frozenset(parent for model in models for parent in _cascades(model, set()))
    return Table(name, primary, columns, fields, watched, cascades, tuple(models))


def _watched(watch: Watch, model: type[Model], primary: tuple[str, ...]) -> WatchedTable:
    here = [each for each in watch.fields if each in model._meta.local_concrete_fields]
    indexes = (
        (index, tuple(map(column_of, index.fields)))
        for index in watch.indexes
        if all(each in model._meta.local_concrete_fields for each in index.fields)
    )
    is_any = any(each.generated for each in here)
    columns = None if is_any else frozenset(map(column_of, here))
    # Two models of one table may call different columns its key.
    has_key = shares_key(model, watch.model) and _primary(model) == primary
    return WatchedTable(watch, has_key, columns, tuple(indexes))


def _primary(model: type[Model]) -> tuple[str, ...]:
    return tuple(map(column_of, primary_fields(model)))


def _cascades(model: type[Model], seen: set[type[Model]]) -> Iterator[str]:
    """The tables whose deletes the database carries on to *model*'s."""
    for each in model._meta.local_concrete_fields:
        relation = each.remote_field
        if relation is None or not isinstance(relation.on_delete, DATABASE_ON_DELETE):
            continue
        if relation.model not in seen:
            seen.add(relation.model)
            yield table_name(relation.model)
            yield from _cascades(relation.model, seen)
