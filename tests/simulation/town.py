"""The simulator's database: people, by number, name or company, and the companies they span."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any, NamedTuple

import msgspec

from refcache.core.composition import Node, Span
from refcache.core.exceptions import Undecodable
from refcache.core.keys import Key, family, index_text, key_text, schema_id
from refcache.core.sources import Source
from refcache.core.writes import Touched

PEOPLE, COMPANIES, NAMES, LISTS = "people", "companies", "names", "lists"
# A list is of the people of one company, by their primary keys.
FAMILIES = {table: family(b"town:", table) for table in (PEOPLE, COMPANIES, LISTS)}
FINGERPRINTS = ("aaaaaaaa", "bbbbbbbb")
TTL, NEGATIVE_TTL = 300.0, 30.0
TOLERANCE = 600.0  # seconds; the most that any reader accepts

Row = tuple[Any, ...]
Place = tuple[str, int]  # table and primary key


class Person(NamedTuple):
    pk: int
    name: str
    company: int | None


class Company(NamedTuple):
    pk: int
    title: str


def _decoding(columns: int | None) -> Callable[[bytes], Row]:
    def decode(payload: bytes) -> Row:
        try:
            row = tuple(msgspec.msgpack.decode(payload, type=list))
        except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
            raise Undecodable(str(exc)) from exc
        if columns is not None and len(row) != columns:
            raise Undecodable(f"{len(row)} columns")
        return row

    return decode


_decode_person, _decode_company, _decode_name = map(_decoding, (3, 2, 1))
_decode_list = _decoding(None)


def _decode_pk(payload: bytes) -> Any:
    return _decode_name(payload)[0]


def _first(row: Row) -> Any:
    return row[0]


DECODERS = {PEOPLE: _decode_person, COMPANIES: _decode_company, LISTS: _decode_list}


def _source(table: str, fingerprint: str, index: tuple[str, ...] = ()) -> Source:
    return Source(
        FAMILIES[table],
        schema_id(1, fingerprint),
        index,
        msgspec.msgpack.encode,
        _decode_pk if index else DECODERS[table],
        _first if index else tuple,
        TTL,
        NEGATIVE_TTL,
        TOLERANCE,
        is_shareable=True,
        origin=NAMES if index else table,
    )


class View(NamedTuple):
    """How one code version reads the town."""

    people: Node
    names: Node
    companies: Node
    lists: Node

    def node(self, kind: str) -> Node:
        nodes = {PEOPLE: self.people, NAMES: self.names, COMPANIES: self.companies}
        return nodes.get(kind, self.lists)


def _view(fingerprint: str) -> View:
    companies = Node(_source(COMPANIES, fingerprint), picks=((1, 0),), build=_values, slots=1)
    part = Node(companies.rows, picks=((1, 2),))
    rows, picks, spans = _source(PEOPLE, fingerprint), ((0, 0), (1, 1)), (Span(2, part),)
    people = Node(rows, picks=picks, spans=spans, build=_values, slots=3)
    names = Node(
        rows,
        index=_source(PEOPLE, fingerprint, ("name",)),
        key_of=_name_of,
        picks=picks,
        spans=spans,
        build=_values,
        slots=3,
    )
    return View(people, names, companies, Node(_source(LISTS, fingerprint)))


def _values(_: Key, values: list[Any]) -> Row:
    return tuple(values)


def _name_of(row: Row) -> Key:
    return str(row[1])


VIEWS = tuple(map(_view, FINGERPRINTS))
SOURCES = {source for view in VIEWS for node in view for source in (node.rows, node.index)}


def forget() -> None:
    """Let all sources be as if nothing had been read."""
    for source in SOURCES - {None}:
        source.memory._current = (b"", {})  # type: ignore[union-attr]  # as the line before says
        source.pace.seconds = 0.0  # type: ignore[union-attr]


def touched(changes: Mapping[Place, Row | None]) -> list[Touched]:
    """What a write of *changes* touches: the rows, and the names that they will have."""
    texts: dict[str, list[bytes]] = defaultdict(list)
    for (table, pk), row in changes.items():
        texts[table].append(key_text(pk))
        if isinstance(row, Person):
            texts[table].append(index_text(("name",), row.name))
    found = [Touched(FAMILIES[table], tuple(each)) for table, each in texts.items()]
    if PEOPLE in texts:
        found.append(Touched(FAMILIES[LISTS], (), whole=True))
    return found


class Look(NamedTuple):
    """When somebody read, in ticks; a copy may be from before.

    Args:
        since: From when on what was read may have been current.
        start: When the read began.
        end: When it ended.
        process: Whose it was.
    """

    since: int
    start: int
    end: int
    process: int


@dataclass
class Version:
    """A committed row (None: there is none), and the ticks between which it may be read.

    `known` has the processes that may not read it any longer, as they have replaced it.
    """

    row: Row | None
    since: int
    until: float = inf
    known: dict[int, int] = field(default_factory=dict)

    def may_be_seen(self, look: Look) -> bool:
        is_known = self.known.get(look.process, inf) < look.start
        return self.since <= look.end and self.until >= look.since and not is_known


class Town:
    """Committed rows with their past, and who holds which row's lock."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self.tick = 0
        self.locks: dict[Place, object] = {}
        self._versions: dict[Place, list[Version]] = defaultdict(lambda: [Version(None, 0)])
        for row in rows:
            self._versions[_place(row)] = [Version(row, 0)]

    def row(self, place: Place) -> Row | None:
        return self._versions[place][-1].row

    def rows(self, table: str) -> Iterator[Row]:
        for (other, _), versions in self._versions.items():
            row = versions[-1].row
            if other == table and row is not None:
                yield row

    def load(self, origin: str, keys: Iterable[Key]) -> dict[Key, Row]:
        if origin == LISTS:
            return {key: tuple(sorted(self._members(key))) for key in keys}
        if origin == NAMES:
            by_name: dict[Key, Row] = {row[1]: (row[0],) for row in self.rows(PEOPLE)}
            return {key: by_name[key] for key in keys if key in by_name}
        return {row[0]: row for row in self.rows(origin) if row[0] in set(keys)}

    def _members(self, company: Key) -> Iterator[int]:
        return (row[0] for row in self.rows(PEOPLE) if row[2] == company)

    def commit(self, changes: Mapping[Place, Row | None], *, is_foreign: bool = False) -> bool:
        """Make *changes* visible, unless two people would have one name.

        What a foreign write replaces may be read on, until it is told of: see `told`.
        """
        names = [row.name for row in changes.values() if isinstance(row, Person)]
        others = {row[1] for row in self.rows(PEOPLE) if _place(row) not in changes}
        if len(set(names)) < len(names) or others & set(names):
            return False
        for place, row in changes.items():
            versions = self._versions[place]
            if not is_foreign:
                versions[-1].until = self.tick
            versions.append(Version(row, self.tick))
        return True

    def told(self, places: Iterable[Place]) -> None:
        """The foreign writes of *places* are invalidated."""
        for place in places:
            for version in self._versions[place][:-1]:
                version.until = min(version.until, self.tick)

    def dropped(self, places: Iterable[Place], process: int, before: int) -> None:
        """From here on the process may not read what it has replaced in the tick *before*."""
        for place in places:
            for version in self._versions[place]:
                if version.since < before:
                    version.known.setdefault(process, self.tick)

    # What a read may have seen

    def allows(self, kind: str, key: Key, seen: Row | None, look: Look) -> bool:
        if kind == NAMES:
            return self._allows_name(str(key), seen, look)
        if kind == LISTS:
            ticks = range(look.since, look.end + 1)
            return any(
                self._allows_list(key, seen, look._replace(since=tick, end=tick)) for tick in ticks
            )
        versions = self._seen((kind, key), look)  # type: ignore[arg-type]  # these are pks
        return any(seen in self._shown(kind, row, look) for row in versions)

    def _allows_name(self, name: str, seen: Row | None, look: Look) -> bool:
        if seen is None:
            return any(
                self._may_be_free(name, look._replace(since=tick, end=tick))
                for tick in range(look.since, look.end + 1)
            )
        versions = self._seen((PEOPLE, seen[0]), look)
        holders = [row for row in versions if row is not None and row[1] == name]
        return any(seen in self._shown(PEOPLE, row, look) for row in holders)

    def _allows_list(self, company: Key, seen: Row | None, look: Look) -> bool:
        if seen is None:  # There always is one, and be it empty.
            return False
        return all(
            any(
                (row is not None and row[2] == company) == (place[1] in seen)
                for row in self._seen(place, look)
            )
            for place in tuple(self._versions)
            if place[0] == PEOPLE
        )

    def _may_be_free(self, name: str, look: Look) -> bool:
        places = [place for place in self._versions if place[0] == PEOPLE]
        return all(
            any(row is None or row[1] != name for row in self._seen(place, look))
            for place in places
        )

    def _seen(self, place: Place, look: Look) -> list[Row | None]:
        return [v.row for v in self._versions[place] if v.may_be_seen(look)]

    def _shown(self, kind: str, row: Row | None, look: Look) -> list[Row | None]:
        """The snapshots that a row may be part of."""
        if row is None:
            return [None]
        if kind == COMPANIES:
            return [(row[1],)]
        if row[2] is None:
            return [(row[0], row[1], None)]
        companies = self._seen((COMPANIES, row[2]), look)
        return [(row[0], row[1], each and each[1]) for each in companies]


def _place(row: Row) -> Place:
    return (PEOPLE if isinstance(row, Person) else COMPANIES, row[0])
