"""What `invalidate` touches: the rows that it names, and all that is known of them elsewhere."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from refcache.core.composition import Gathered, Wanted, resolve
from refcache.core.keys import Key, index_text
from refcache.core.pages import Mode
from refcache.core.sources import NoRow, Source
from refcache.core.terms import Steps, Terms
from refcache.core.writes import Touched
from refcache.reading.answers import is_null
from refcache.reading.planning import Plan
from refcache.writing.touching import touched_by_read, touched_rows

Run = Callable[[Steps[list[Gathered]]], list[Gathered]]


def touched_by_hand(
    plan: Plan, keys: Iterable[object], terms: Terms, run: Run
) -> Iterator[Touched]:
    """The entries of rows, of other keys that lead to them, of rows that they span, and all lists.

    Raises:
        InvalidKey: One of *keys* cannot be a key.
    """
    cast = [plan.cast(key) for key in keys if not is_null(key)]
    if not cast:
        return
    yield from _lists(plan)
    if plan.node.index is None and not plan.node.spans and not plan.by:
        yield touched_rows(plan.node, cast, cast)
        return
    # Other rows are part of it: those that the store believes in, and those of the database.
    for mode in (Mode.TRUST, Mode.RELOAD):
        found = run(resolve([Wanted(plan.node, cast)], terms, mode))[0]
        yield from touched_by_read(found)
        yield from _further_keys(plan, found.rows.values())


def touched_whole(plan: Plan) -> Iterator[Touched]:
    """All entries of a reference, and of the rows that it spans."""
    yield from _lists(plan)
    for source in plan.node.sources():
        yield _whole(source)


def _lists(plan: Plan) -> Iterator[Touched]:
    if plan.lists is not None:
        yield _whole(plan.lists.source)


def _whole(source: Source) -> Touched:
    return Touched(source.family, (), whole=True, grace=source.grace)


def _further_keys(plan: Plan, rows: Iterable[Any]) -> Iterator[Touched]:
    """The entries that lead to *rows* from the keys of `by`."""
    there = [row for row in rows if not isinstance(row, NoRow)]
    for names, further in plan.by.items():
        key_of = further.node.key_of
        assert key_of is not None  # noqa: S101 - it has an index.
        values: list[Key] = [key_of(row) for row in there]
        texts = tuple(index_text(names, value) for value in values if not is_null(value))
        if texts:
            yield Touched(further.node.rows.family, texts, grace=further.node.rows.grace)
