"""The rows of one model as sources of entries, and what a write to them touches."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from operator import itemgetter
from typing import Any

from django.db import connections
from django.db.models import Model

from refcache.core.codec import RowCodec
from refcache.core.columns import Column
from refcache.core.keys import Family, Key, family, schema_id
from refcache.core.snapshots import Snapshot
from refcache.core.sources import Source
from refcache.declaration import Declaration
from refcache.reading.columns import column_for
from refcache.reading.models import AnyField, caster, filtered_fields, primary_fields
from refcache.reading.origin import Origin


@dataclass(slots=True)
class Rows:
    """Rows of one model in one database, as one reference or several need them.

    Args:
        name: Of their entries in the store.
        origin: The model and its database.
        version: Part of the schema.
        columns: What a payload holds after the primary key, by attribute name.
        names: What the columns are called on a snapshot, where the payload is one.
        indexes: Further keys by which they are found, by the fields' names.
    """

    name: str
    origin: Origin
    version: int
    ttl: float
    negative_ttl: float
    tolerance: float
    columns: dict[str, AnyField] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    indexes: dict[tuple[str, ...], tuple[AnyField, ...]] = field(default_factory=dict)

    def need(self, declaration: Declaration) -> None:
        """Be as fresh as one more reference asks."""
        self.ttl = min(self.ttl, declaration.ttl)
        self.negative_ttl = min(self.negative_ttl, declaration.negative_ttl)
        self.tolerance = max(self.tolerance, declaration.staleness.longest)

    def position(self, column: AnyField) -> int:
        """Where *column* stands in a payload; the primary key stands at 0."""
        return 1 + list(self.columns).index(column.attname)

    def key_of(self, names: tuple[str, ...]) -> Callable[[Any], Key] | None:
        """A row's own value of one of `indexes`; None for the primary key."""
        if names not in self.indexes:
            return None
        return itemgetter(*(self.position(column) for column in self.indexes[names]))


@dataclass(frozen=True, slots=True)
class Sources:
    """The sources that rows are read from: themselves, and each index to them."""

    rows: Source
    indexes: dict[tuple[str, ...], Source]


@dataclass(frozen=True, slots=True)
class Watch:
    """What a write to a row of *model* touches: one family of entries.

    Args:
        model: The concrete model.
        family: The entries.
        columns: Names of the fields that they depend on; a write of others touches none.
        cast: For primary keys.
        indexes: The entries that lead to them from other keys.
    """

    model: type[Model]
    family: Family
    columns: frozenset[str]
    cast: Callable[[object], Hashable]
    indexes: tuple["WatchedIndex", ...]


@dataclass(frozen=True, slots=True)
class WatchedIndex:
    """The entries that lead from another key to a row.

    `is_generated`: The database computes the key, so a writer does not know it.
    """

    names: tuple[str, ...]
    attributes: tuple[str, ...]
    cast: Callable[[object], Hashable]
    is_generated: bool


def sources_of(rows: Rows, prefix: bytes, snapshot: type[Snapshot] | None = None) -> Sources:
    """The sources of *rows*; where *snapshot* is given, payloads are decoded to it."""
    connection = connections[rows.origin.alias]
    key = key_column(rows.origin)
    columns = [
        column_for(column, rows.names.get(name, name), connection)
        for name, column in rows.columns.items()
    ]
    codec = RowCodec(snapshot, [key, *columns])
    source = Source(
        family=family(prefix, rows.name),
        schema=schema_id(rows.version, _fingerprint(rows, codec)),
        index=(),
        encode=codec.encode,
        decode=codec.decode,
        wrap=codec.wrap,
        ttl=rows.ttl,
        negative_ttl=rows.negative_ttl,
        tolerance=rows.tolerance,
        origin=replace(rows.origin, columns=tuple(rows.columns)),
    )
    return Sources(source, {names: _index(source, names, key) for names in rows.indexes})


def watch(rows: Rows, prefix: bytes) -> Watch:
    """What to look for in writes to the rows' model."""
    model = rows.origin.model
    fields = [*rows.columns.values(), *primary_fields(model)]
    fields += filtered_fields(model, rows.origin.filter)
    indexes = (
        WatchedIndex(
            names,
            tuple(column.attname for column in columns),
            caster(columns, rows.origin),
            any(column.generated for column in columns),
        )
        for names, columns in rows.indexes.items()
    )
    return Watch(
        model._meta.concrete_model or model,
        family(prefix, rows.name),
        frozenset(name for each in fields for name in (each.name, each.attname)),
        caster(primary_fields(model), rows.origin),
        tuple(indexes),
    )


def key_column(origin: Origin) -> Column:
    return column_for(origin.model._meta.pk, "key", connections[origin.alias])


def _index(source: Source, names: tuple[str, ...], key: Column) -> Source:
    codec = RowCodec(None, [key])
    return replace(
        source,
        index=names,
        encode=codec.encode,
        decode=lambda payload: codec.decode(payload)[0],
        wrap=itemgetter(0),
        # Without the filter: a row outside it is found, and is then absent by itself.
        origin=replace(source.origin, key=names, columns=(), filter={}),
    )


def _fingerprint(rows: Rows, codec: RowCodec) -> str:
    """Eight hexadecimal digits that differ where the meaning of an entry does."""
    origin = rows.origin
    described = (
        origin.model._meta.label_lower,
        origin.using,
        codec.signature,
        sorted((lookup, repr(value)) for lookup, value in origin.filter.items()),
        sorted(rows.indexes),
    )
    return blake2b(repr(described).encode(), digest_size=4).hexdigest()
