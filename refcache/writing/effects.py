"""What a SQL statement touches: the rows that its parameters name, or all that it mentions."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from refcache.conf import conf
from refcache.core.exceptions import InvalidKey
from refcache.core.keys import Family, Key, index_text, key_text
from refcache.core.writes import Touched
from refcache.reading.answers import is_null
from refcache.sql.statements import Match, Statement, Verb
from refcache.writing.tables import (
    Table,
    WatchedTable,
    compared_types,
    joined,
    stored_types,
    table_name,
)

Parameters = Sequence[Any]


# Further tables that nothing names; and names that are spelt by their characters' numbers.
ANYTHING = re.compile(r"\b(?:truncate|drop)\b.*\bcascade\b|\bu&[\"']", re.IGNORECASE | re.DOTALL)
# SQLite's further names of an integer primary key.
ROW_IDS = frozenset(["rowid", "oid", "_rowid_"])


class Unknown(Exception):
    """The parameters do not say which rows."""


class Effects:
    """What statements on one database touch.

    Args:
        tables: That references read, by name.
        vendor: Of the database, as Django names it.
    """

    def __init__(self, tables: Mapping[str, Table], vendor: str) -> None:
        self.tables = tables
        self._vendor = vendor
        self._spellings: dict[str, dict[str, str]] = {}
        self._tables = {
            name: table
            for name, table in tables.items()
            if any(each.watch.watches_sql for each in table.watched)
        }

    def of(
        self,
        statement: Statement,
        sql: str,
        params: Parameters | None,
        is_locked: Callable[[Any], bool] = lambda _: False,
    ) -> list[Touched]:
        """What is touched.

        Args:
            statement: Of `analyse(sql)`; it writes.
            sql: Its text.
            params: As they stand in it; None: not to be told.
            is_locked: Whether a primary key is known to be as the database has it.
        """
        table = self._tables.get(statement.table)
        if statement.verb is Verb.OTHER or params is None:
            return self._mentioned(sql)
        if len(params) != statement.parameters:
            return self._mentioned(sql)
        if table is None:
            return self._mentioned(sql) if self._is_like_ours(statement.table) else []
        is_update = statement.verb is Verb.UPDATE
        statement = self._respelt(statement, table)
        rows = (_Rows(each, table, self._vendor, params, is_locked) for each in _watched(table))
        found = [self._touched(each, statement) for each in rows]
        touched = [each for each in found if each is not None]
        if statement.verb is Verb.DELETE or not (is_update or statement.adds_only):
            touched += self._cascaded([statement.table])
        return [each._replace(cause=statement.verb.value) for each in touched]

    def may_be_of(self, table: str) -> bool:
        """Whether a write to *table* may touch anything; where it is empty: any write."""
        return bool(self._tables) and self._is_like_ours(table)

    def names_rows(self, family: Family) -> bool:
        """Whether a delete by primary keys is known by them, row by row."""
        return family in self._exact

    @cached_property
    def _exact(self) -> frozenset[Family]:
        return frozenset(
            each.watch.family
            for table in self._tables.values()
            for each in _watched(table)
            if table_name(each.watch.model) == table.name
            and all(compared_types(table.fields[name], self._vendor) for name in table.primary)
        )

    def _touched(self, rows: "_Rows", statement: Statement) -> Touched | None:
        watched = rows.watched
        is_update = statement.verb is Verb.UPDATE
        if is_update and not watched.depends_on(statement.columns or ()):
            return None
        if any(not match.many for match in statement.matches):
            return None
        try:
            if statement.verb is Verb.INSERT:
                return rows.inserted(statement)
            return rows.written(statement)
        except (Unknown, InvalidKey):
            return watched.whole()

    def _respelt(self, statement: Statement, table: Table) -> Statement:
        """With the columns as the table spells them; only PostgreSQL looks at their case."""
        if self._vendor == "postgresql":
            return statement
        names = self._spellings.get(table.name)
        if names is None:
            names = {name.lower(): name for name in table.fields}
            if self._vendor == "sqlite" and len(table.primary) == 1:
                names = dict.fromkeys(ROW_IDS, table.primary[0]) | names
            self._spellings[table.name] = names

        def respelt(columns: Iterable[str]) -> tuple[str, ...]:
            return tuple(names.get(each.lower(), each) for each in columns)

        places = statement.places and tuple(
            dict(zip(respelt(each), each.values(), strict=True)) for each in statement.places
        )
        return statement._replace(
            columns=statement.columns and respelt(statement.columns),
            places=places,
            matches=tuple(m._replace(columns=respelt(m.columns)) for m in statement.matches),
        )

    def _mentioned(self, sql: str) -> list[Touched]:
        if ANYTHING.search(sql):
            return list(_whole(self._tables.values()))
        names = {match[0].lower() for match in self._mention.finditer(sql)}
        here = [table for name, table in self._tables.items() if _spelt(name) in names]
        return [*_whole(here), *self._cascaded(names)]

    def _cascaded(self, names: Iterable[str]) -> Iterator[Touched]:
        """What the database itself deletes or changes when rows of these tables go."""
        lowered = {_spelt(name) for name in names}
        return _whole(
            table
            for table in self._tables.values()
            if any(_spelt(parent) in lowered for parent in table.cascades)
        )

    def _is_like_ours(self, name: str) -> bool:
        # Some databases do not look at the case of a name.
        return not name or self._mention.fullmatch(_spelt(name)) is not None

    @cached_property
    def _mention(self) -> re.Pattern[str]:
        parents = (parent for table in self._tables.values() for parent in table.cascades)
        names = sorted({*map(_spelt, self._tables), *map(_spelt, parents)}, key=len, reverse=True)
        return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, names))})(?!\w)", re.IGNORECASE)


class _Rows:
    """The rows that a statement's parameters name, as entries of one family."""

    def __init__(
        self,
        watched: WatchedTable,
        table: Table,
        vendor: str,
        params: Parameters,
        is_locked: Callable[[Any], bool],
    ) -> None:
        self.watched = watched
        self._is_locked = is_locked
        self._table = table
        self._vendor = vendor
        self._params = params

    def written(self, statement: Statement) -> Touched:
        """Of an UPDATE or DELETE: the rows, and the keys that they are to have."""
        if not self.watched.has_key:
            raise Unknown
        found = [self._key(values) for values in self._matched(statement.matches)]
        keys = list(dict.fromkeys(found))
        texts = [key_text(key) for key in keys]
        if statement.verb is Verb.UPDATE:
            texts += self._moved((statement.places or ({},))[0], keys)
        return self.watched.touched(texts, keys)

    def _matched(self, matches: Sequence[Match]) -> list[list[Any]]:
        """The values of the primary key that the condition asks for."""
        primary = self._table.primary
        match = next((each for each in matches if sorted(each.columns) == sorted(primary)), None)
        single = {m.columns[0]: m.start for m in matches if len(m.columns) == m.many == 1}
        if match is None and single.keys() >= set(primary):
            return [[self._params[single[name]] for name in primary]]
        if match is None or match.many > conf().bulk_limit:
            raise Unknown
        at = [match.columns.index(name) for name in primary]
        size = len(match.columns)
        starts = range(match.start, match.start + size * match.many, size)
        return [[self._params[start + offset] for offset in at] for start in starts]

    def inserted(self, statement: Statement) -> Touched:
        """Of an INSERT that changes no row: absences may be remembered."""
        if not statement.adds_only or statement.places is None:
            raise Unknown
        if len(statement.places) > conf().bulk_limit or not self.watched.has_all_indexes:
            raise Unknown
        keys: list[Key] = []
        texts: list[bytes] = []
        for places in statement.places:
            keys.append(self._stored_key(places))
            texts += self._indexed(places, is_insert=True)
        return self.watched.touched([*map(key_text, keys), *texts], keys)

    def _moved(self, places: Mapping[str, int | None], keys: list[Key]) -> list[bytes]:
        """The entries of keys that the statement assigns, whole."""
        moved = [name for name in self._table.primary if name in places]
        if moved and (len(moved) < len(self._table.primary) or len(keys) > 1):
            raise Unknown
        texts = [key_text(self._stored_key(places))] if moved else []
        return texts + self._indexed(places, is_insert=False)

    def _indexed(self, places: Mapping[str, int | None], *, is_insert: bool) -> list[bytes]:
        texts = []
        for index, columns in self.watched.indexes:
            written = [name for name in columns if name in places]
            if index.is_generated or (is_insert and len(written) < len(columns)):
                raise Unknown
            if not written:
                continue
            if len(written) < len(columns):
                raise Unknown
            key = self._stored(columns, places)
            if not is_null(key):
                texts.append(index_text(index.names, index.cast(key)))
        return texts

    def _key(self, values: list[Any]) -> Key:
        """The key of the rows whose primary key equals *values*, for the database."""
        if self._is_locked(joined(values)):
            return self.watched.watch.cast(joined(values))
        for name, value in zip(self._table.primary, values, strict=True):
            if not _is_of(value, compared_types(self._table.fields[name], self._vendor)):
                raise Unknown
        return self.watched.watch.cast(joined(values))

    def _stored_key(self, places: Mapping[str, int | None]) -> Key:
        key = self._stored(self._table.primary, places)
        # MySQL takes a zero for "make one".
        if not self.watched.has_key or key == 0:
            raise Unknown
        return self.watched.watch.cast(key)

    def _stored(self, columns: Sequence[str], places: Mapping[str, int | None]) -> Any:
        """What the columns are to hold."""
        found = []
        for name in columns:
            place = places.get(name)
            if place is None:
                raise Unknown
            value = self._params[place]
            if value is not None and not _is_of(value, stored_types(self._table.fields[name])):
                raise Unknown
            found.append(value)
        return joined(found)


def _is_of(value: object, types: tuple[type, ...]) -> bool:
    """Whether it is of the types; psycopg's integers are subclasses, and so is bool."""
    return isinstance(value, types) and not isinstance(value, bool)


def _watched(table: Table) -> Iterator[WatchedTable]:
    return (each for each in table.watched if each.watch.watches_sql)


def _whole(tables: Iterable[Table]) -> Iterator[Touched]:
    return (each.whole() for table in tables for each in _watched(table))


def _spelt(name: str) -> str:
    """As statements spell it, for comparison."""
    return name.replace('"', '""').lower()
