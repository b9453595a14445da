"""From entries to snapshots: a row, the rows that it spans, and the index that leads to it.

Each entry depends on one row only, so a snapshot that spans relations is put together when it is
read, hop by hop; all references of a read take each hop together.
"""

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from refcache.core.entries import number
from refcache.core.keys import Family, Key
from refcache.core.pages import Ask, Mode, Page
from refcache.core.protocol import answer
from refcache.core.sources import ABSENT, Source
from refcache.core.terms import Steps, Terms

T = TypeVar("T")
Asking = Generator[list[Ask], list[Page], T]

MODES = tuple(Mode)
RELOADS = 2  # of a doubtful index entry; the second for a key that moves meanwhile


@dataclass(frozen=True, slots=True, eq=False)
class Span:
    """A forward relation: the position of its column in the row, and what it leads to."""

    position: int
    node: "Node"


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """Rows of one model, and how they become part of a snapshot.

    Args:
        rows: Their entries, by primary key.
        index: The entries that lead from another key to the primary key.
        key_of: A row's own value of that other key.
        picks: (position in the row, slot in the snapshot) of the columns that are shown.
        spans: The relations that are followed from here.
        build: Makes the snapshot from its key and the values of all slots; None where the rows
            are decoded to snapshots already.
        slots: How many.
    """

    rows: Source
    index: Source | None = None
    key_of: Callable[[Any], Key] | None = None
    picks: tuple[tuple[int, int], ...] = ()
    spans: tuple[Span, ...] = ()
    build: Callable[[Key, list[Any]], Any] | None = None
    slots: int = 0

    def families(self) -> list[Family]:
        """The entries that snapshots are made of, those of spanned rows too."""
        below = [family for span in self.spans for family in span.node.families()]
        return list(dict.fromkeys([self.rows.family, *below]))


class Trace(NamedTuple):
    """Where an answer came from: the database at least in part; and the age of its oldest part."""

    is_loaded: bool
    age_ms: int


@dataclass(slots=True)
class Gathered:
    """What was found for one node: rows by the key asked for, `ABSENT` where there is none."""

    node: Node
    rows: dict[Key, Any] = field(default_factory=dict)
    pages: list[Page] = field(default_factory=list)  # by primary key
    index_pages: list[Page] = field(default_factory=list)  # by the key that was asked for
    primary: dict[Key, Key] = field(default_factory=dict)  # to the one from the other
    spanned: list["Gathered"] = field(default_factory=list)

    def compose(self, key: Key) -> Any:
        """The snapshot of *key*, or `ABSENT`."""
        row = self.rows[key]
        if row is ABSENT or self.node.build is None:
            return row
        values: list[Any] = [None] * self.node.slots
        self.pick(row, values)
        return self.node.build(key, values)

    def pick(self, row: Any, values: list[Any]) -> None:
        """Put what *row*, and what it spans, shows into its slots of *values*."""
        for position, slot in self.node.picks:
            values[slot] = row[position]
        for child, child_row, _ in self._followed(row):
            child.pick(child_row, values)

    def _followed(self, row: Any) -> Iterable[tuple["Gathered", Any, Key]]:
        for span, child in zip(self.node.spans, self.spanned, strict=True):
            key = row[span.position]
            child_row = ABSENT if key is None else child.rows[key]
            if child_row is not ABSENT:
                yield child, child_row, key

    def trace(self, key: Key) -> Trace:
        traces = list(self.traces(key))
        ages = (trace.age_ms for trace in traces)
        return Trace(any(trace.is_loaded for trace in traces), max(ages, default=0))

    def traces(self, key: Key) -> Iterable[Trace]:
        """A trace per entry that the answer for *key* was made of."""
        pk = self.primary.get(key, key)
        asked = [(page, key) for page in self.index_pages] + [(page, pk) for page in self.pages]
        for page, name in asked:
            if name in page.rows:
                raw = page.stored.get(name)
                yield Trace(raw is None, page.read_at - number(raw[32:38]) if raw else 0)
        if self.spanned and self.rows[key] is not ABSENT:
            for child, _, child_key in self._followed(self.rows[key]):
                yield from child.traces(child_key)


def resolve(
    wanted: Sequence[tuple[Node, Sequence[Key]]], terms: Terms, mode: Mode = Mode.TRUST
) -> Steps[list[Gathered]]:
    """Everything that *wanted* names, each hop of all of it in one `answer`.

    Args:
        wanted: Nodes with distinct keys; a node may occur twice.
        terms: The protocol's.
        mode: What to make of fresh values in the store.

    Raises:
        ReferenceUnavailable: The database could not be read.
    """
    steps = _together([_gather(node, keys, mode) for node, keys in wanted])
    try:
        asks = next(steps)
        while True:
            pages = yield from _answer_each(asks, terms)
            asks = steps.send(pages)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]  # typeshed: the value is untyped


def _answer_each(asks: list[Ask], terms: Terms) -> Steps[list[Page]]:
    """A page per ask; asks of the same source share one, or a read would wait for itself."""
    merged: dict[Source, Ask] = {}
    for ask in asks:
        before = merged.get(ask.source)
        keys = ask.keys if before is None else dict.fromkeys([*before.keys, *ask.keys])
        mode = ask.mode if before is None else max(before.mode, ask.mode, key=MODES.index)
        merged[ask.source] = Ask(ask.source, list(keys), mode)
    pages = yield from answer(list(merged.values()), terms)
    by_source = dict(zip(merged, pages, strict=True))
    return [by_source[ask.source] for ask in asks]


def _gather(node: Node, keys: Sequence[Key], mode: Mode) -> Asking[Gathered]:
    if not keys:
        return Gathered(node, spanned=[Gathered(span.node) for span in node.spans])
    if node.index is None:
        pages = yield [Ask(node.rows, keys, mode)]
        found = Gathered(node, pages[0].rows, pages)
    else:
        found = yield from _through_index(node, node.index, keys, mode)
    if node.spans:
        found.spanned = yield from _together(
            [_gather(span.node, _spanned_keys(span, found.rows), mode) for span in node.spans]
        )
    return found


def _spanned_keys(span: Span, rows: Mapping[Key, Any]) -> list[Key]:
    keys = {row[span.position]: None for row in rows.values() if row is not ABSENT}
    keys.pop(None, None)
    return list(keys)


def _through_index(node: Node, index: Source, keys: Sequence[Key], mode: Mode) -> Asking[Gathered]:
    """Rows by another key than the primary one.

    The index is a hint. A row that no longer has the key that was asked for is a miss, and both
    are loaded again. A row that is absent may have left its key to another one after the index
    was read: so the index is read again, and believed when it has not changed.
    """
    found = Gathered(node, dict.fromkeys(keys, ABSENT))
    for _ in range(1 + RELOADS):
        index_page = (yield [Ask(index, keys, mode)])[0]
        found.index_pages.append(index_page)
        led = {key: index_page.rows[key] for key in keys}
        led = {key: pk for key, pk in led.items() if pk not in (ABSENT, found.primary.get(key))}
        if not led:
            break
        found.primary.update(led)
        row_page = (yield [Ask(node.rows, list(dict.fromkeys(led.values())), mode)])[0]
        found.pages.append(row_page)
        rows = {key: row_page.rows[pk] for key, pk in led.items()}
        found.rows |= {key: row for key, row in rows.items() if _has_key(node, row, key)}
        keys = [key for key, row in rows.items() if found.rows[key] is ABSENT]
        if not keys:
            break
        if any(rows[key] is not ABSENT for key in keys):
            mode = Mode.RELOAD
            for key in keys:
                del found.primary[key]
    return found


def _has_key(node: Node, row: Any, key: Key) -> bool:
    return row is not ABSENT and (node.key_of is None or node.key_of(row) == key)


def _together(steps: Sequence[Asking[T]]) -> Asking[list[T]]:
    """Run several gatherings in step: what they ask at the same time is asked at once."""
    if len(steps) == 1:
        return [(yield from steps[0])]
    results: dict[int, T] = {}
    asking: dict[int, list[Ask]] = {}
    for place, step in enumerate(steps):
        _advance(place, step, None, asking, results)
    while asking:
        pages = iter((yield [ask for asks in asking.values() for ask in asks]))
        for place, asks in tuple(asking.items()):
            mine = list(islice(pages, len(asks)))
            _advance(place, steps[place], mine, asking, results)
    return [results[place] for place in range(len(steps))]


def _advance(
    place: int,
    step: Asking[T],
    pages: list[Page] | None,
    asking: dict[int, list[Ask]],
    results: dict[int, T],
) -> None:
    try:
        asking[place] = next(step) if pages is None else step.send(pages)
    except StopIteration as stop:
        asking.pop(place, None)
        results[place] = stop.value
