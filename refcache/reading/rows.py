"""The rows of one model as sources of entries."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from operator import itemgetter
from typing import Any

from django.db import connections

from refcache.core.codec import RowCodec
from refcache.core.columns import Column
from refcache.core.entries import FORMAT
from refcache.core.keys import Key, family, schema_id
from refcache.core.snapshots import Snapshot
from refcache.core.sources import Source
from refcache.declaration import Declaration
from refcache.reading.columns import column_for
from refcache.reading.filters import literal
from refcache.reading.models import AnyField
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
        is_strict: Whether one of the references wants writes refused that cannot be marked.
        watches_sql: Whether one of the references wants statements looked at.
        grace: Seconds after a write in which fills read the primary; 0: they always do. Rows that
            are only spanned are never filled from a replica.
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
    is_strict: bool = False
    watches_sql: bool = False
    grace: float = 0.0

    def need(self, declaration: Declaration) -> None:
        """Be as fresh as one more reference asks."""
        self.ttl = min(self.ttl, declaration.ttl)
        self.negative_ttl = min(self.negative_ttl, declaration.negative_ttl)
        self.tolerance = max(self.tolerance, declaration.staleness.longest)
        self.is_strict = self.is_strict or declaration.is_strict
        self.watches_sql = self.watches_sql or declaration.watch_sql

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
        schema=schema_id(
            rows.version, fingerprint(rows.origin, codec.signature, sorted(rows.indexes))
        ),
        index=(),
        encode=codec.encode,
        decode=codec.decode,
        wrap=codec.wrap,
        ttl=rows.ttl,
        negative_ttl=rows.negative_ttl,
        tolerance=rows.tolerance,
        grace=rows.grace,
        is_shareable=codec.is_direct,
        origin=replace(rows.origin, columns=tuple(rows.columns)),
    )
    return Sources(source, {names: _index(source, names, key) for names in rows.indexes})


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


def fingerprint(origin: Origin, signature: str, *meaning: object) -> str:
    """Eight hexadecimal digits that differ where the meaning of an entry does."""
    described = (
        origin.model._meta.label_lower,
        origin.alias,
        # A test's database holds other rows than the one that it stands for.
        str(connections[origin.alias].settings_dict["NAME"]),
        FORMAT,  # Code that writes values otherwise has entries of its own.
        signature,
        sorted((lookup, literal(value)) for lookup, value in origin.filter.items()),
        *meaning,
    )
    return blake2b(repr(described).encode(), digest_size=4).hexdigest()
