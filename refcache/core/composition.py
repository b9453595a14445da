"""From entries to snapshots: a row, the rows that it spans, and the index that leads to it.

Each entry depends on one row only, so a snapshot that spans relations is put together when it is
read, hop by hop; all references of a read take each hop together.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from refcache.core.entries import number
from refcache.core.exceptions import StoreUnavailable
from refcache.core.keys import Key
from refcache.core.pages import Ask, Mode, Page
from refcache.core.protocol import answer
from refcache.core.reasons import Tier, Trace, Why
from refcache.core.sources import ABSENT, FAILED, NoRow, Source
from refcache.core.staleness import FRESH, Policy
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
        own_key: A row's value of the key that its snapshot has, where that is not the one asked
            for; None where it is.
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
    own_key: Callable[[Any], Key] | None = None

    def sources(self) -> list[Source]:
        """The rows that snapshots are made of, the spanned ones too."""
        below = [source for span in self.spans for source in span.node.sources()]
        return list(dict.fromkeys([self.rows, *below]))


class Wanted(NamedTuple):
    """Distinct keys of a node, and what a read of them accepts."""

    node: Node
    keys: Sequence[Key]
    policy: Policy = FRESH


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
        """The snapshot of *key*, `ABSENT`, or `FAILED` where a part of it is."""
        row = self.rows[key]
        if isinstance(row, NoRow) or self.node.build is None:
            return row
        values: list[Any] = [None] * self.node.slots
        if not self.pick(row, values):
            return FAILED
        own_key = self.node.own_key
        return self.node.build(key if own_key is None else own_key(row), values)

    def pick(self, row: Any, values: list[Any]) -> bool:
        """Put what *row*, and what it spans, shows into its slots of *values*.

        Returns:
            Whether all of it could be read.
        """
        for position, slot in self.node.picks:
            values[slot] = row[position]
        is_whole = True
        for child, child_row, _ in self._followed(row):
            is_whole = child_row is not FAILED and child.pick(child_row, values) and is_whole
        return is_whole

    def _followed(self, row: Any) -> Iterable[tuple["Gathered", Any, Key]]:
        for span, child in zip(self.node.spans, self.spanned, strict=True):
            key = row[span.position]
            child_row = ABSENT if key is None else child.rows[key]
            if child_row is not ABSENT:
                yield child, child_row, key

    def traces(self, key: Key) -> Iterator[Trace]:
        """A trace per entry that the answer for *key* was made of."""
        for page, name in self.parts(key):
            if name in page.loaded:
                yield Trace(Tier.DATABASE, 0, page.why.get(name, Why.MISS))
            elif name in page.copied:
                yield Trace(Tier.LOCAL, page.copied[name], page.why[name])
            elif raw := page.stored.get(name):
                age_ms = page.read_at - number(raw[32:38]) + page.delays.get(name, 0)
                yield Trace(Tier.REDIS, age_ms, page.why.get(name, Why.FRESH))

    def parts(self, key: Key) -> Iterator[tuple[Page, Key]]:
        """The entries that the answer for *key* was made of: pages, and their keys there."""
        pk = self.primary.get(key, key)
        asked = [(page, key) for page in self.index_pages] + [(page, pk) for page in self.pages]
        yield from ((page, name) for page, name in asked if name in page.rows)
        if self.spanned and not isinstance(self.rows[key], NoRow):
            for child, _, child_key in self._followed(self.rows[key]):
                yield from child.parts(child_key)

    def all_pages(self) -> Iterator[Page]:
        yield from (*self.index_pages, *self.pages)
        for child in self.spanned:
            yield from child.all_pages()


def resolve(
    wanted: Sequence[Wanted], terms: Terms, mode: Mode = Mode.TRUST, horizon_ms: int = 0
) -> Steps[list[Gathered]]:
    """Everything that *wanted* names, each hop of all of it in one `answer`.

    Args:
        wanted: A node may occur twice.
        terms: The protocol's.
        mode: What to make of fresh values in the store.
        horizon_ms: How soon a value must expire to be renewed; for `Mode.RENEW`.
    """
    reading = [Reading(each.policy, mode, horizon_ms) for each in wanted]
    steps = _together(
        [_gather(each.node, each.keys, how) for each, how in zip(wanted, reading, strict=True)]
    )
    try:
        asks = next(steps)
        trouble: StoreUnavailable | None = None
        while True:
            pages = yield from _answer_each(asks, terms, trouble)
            trouble = next((page.trouble for page in pages if page.trouble), trouble)
            asks = steps.send(pages)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]  # typeshed: the value is untyped


def _answer_each(
    asks: list[Ask], terms: Terms, trouble: StoreUnavailable | None = None
) -> Steps[list[Page]]:
    """A page per ask; asks of the same source share one, or a read would wait for itself."""
    merged: dict[Source, Ask] = {}
    for ask in asks:
        before = merged.get(ask.source)
        merged[ask.source] = ask if before is None else _merged(before, ask)
    pages = yield from answer(list(merged.values()), terms, trouble)
    by_source = dict(zip(merged, pages, strict=True))
    return [by_source[ask.source] for ask in asks]


def _merged(one: Ask, other: Ask) -> Ask:
    return Ask(
        one.source,
        list(dict.fromkeys([*one.keys, *other.keys])),
        max(one.mode, other.mode, key=MODES.index),
        one.policy.both(other.policy),
        max(one.horizon_ms, other.horizon_ms),
    )


class Reading(NamedTuple):
    """How a node is read."""

    policy: Policy
    mode: Mode
    horizon_ms: int

    def ask(self, source: Source, keys: Sequence[Key]) -> Ask:
        return Ask(source, keys, self.mode, self.policy, self.horizon_ms)


def _gather(node: Node, keys: Sequence[Key], how: Reading) -> Asking[Gathered]:
    if not keys:
        return Gathered(node, spanned=[Gathered(span.node) for span in node.spans])
    if node.index is None:
        pages = yield [how.ask(node.rows, keys)]
        found = Gathered(node, pages[0].rows, pages)
    else:
        found = yield from _through_index(node, node.index, keys, how)
    if node.spans:
        found.spanned = yield from _together(
            [_gather(span.node, _spanned_keys(span, found.rows), how) for span in node.spans]
        )
    return found


def _spanned_keys(span: Span, rows: Mapping[Key, Any]) -> list[Key]:
    keys = {row[span.position]: None for row in rows.values() if not isinstance(row, NoRow)}
    keys.pop(None, None)
    return list(keys)


def _through_index(
    node: Node, index: Source, keys: Sequence[Key], how: Reading
) -> Asking[Gathered]:
    """Rows by another key than the primary one.

    The index is a hint. A row that no longer has the key that was asked for is a miss, and both
    are loaded again. A row that is absent may have left its key to another one after the index
    was read: so the index is read again, and believed when it has not changed.
    """
    found = Gathered(node, dict.fromkeys(keys, ABSENT))
    for _ in range(1 + RELOADS):
        index_page = (yield [how.ask(index, keys)])[0]
        found.index_pages.append(index_page)
        found.rows |= {key: FAILED for key in keys if index_page.rows[key] is FAILED}
        led = {key: index_page.rows[key] for key in keys if not _is_at_end(found, index_page, key)}
        if not led:
            break
        found.primary.update(led)
        row_page = (yield [how.ask(node.rows, list(dict.fromkeys(led.values())))])[0]
        found.pages.append(row_page)
        rows = {key: row_page.rows[pk] for key, pk in led.items()}
        found.rows |= {key: row for key, row in rows.items() if _has_key(node, row, key)}
        keys = [key for key, row in rows.items() if found.rows[key] is ABSENT]
        if not keys:
            break
        if any(rows[key] is not ABSENT for key in keys):
            how = how._replace(mode=Mode.RELOAD)
            for key in keys:
                del found.primary[key]
    return found


def _is_at_end(found: Gathered, index_page: Page, key: Key) -> bool:
    """Whether the index leads nowhere, or to where it has led before."""
    pk = index_page.rows[key]
    return isinstance(pk, NoRow) or pk == found.primary.get(key)


def _has_key(node: Node, row: Any, key: Key) -> bool:
    """Whether *row* is the answer for *key*; that nobody could say is one, too."""
    if isinstance(row, NoRow):
        return row is FAILED
    return node.key_of is None or node.key_of(row) == key


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
