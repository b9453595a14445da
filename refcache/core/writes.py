"""The protocol of writes: mark before the row is written, release after an acknowledged end."""

from collections.abc import Callable, Generator, Iterator, MutableMapping, Sequence
from typing import Any, NamedTuple

from refcache.core.batches import SCRIPT_KEYS, in_batches
from refcache.core.keys import Family, Key
from refcache.core.operations import Mark, Operation, Release, WriteGroup, Written
from refcache.core.terms import Terms

KnownSchemas = MutableMapping[bytes, tuple[bytes, ...]]
"""Per epoch key the schemas that this process believes to be alive; a reply corrects it."""


class Touched(NamedTuple):
    """What a write touches of one reference: entries by their text, or all of it.

    Args:
        family: The reference.
        texts: From `keys.key_text` and `keys.index_text`.
        whole: Every entry; the epoch is marked instead of the rows.
        grace: The source's, in seconds.
        rows: The primary keys among them, for those who want to know what has changed.
        is_strict: Nothing may be written where this cannot be marked.
        cause: What wrote, as `reference_changed` tells it.
    """

    family: Family
    texts: tuple[bytes, ...]
    whole: bool = False
    grace: float = 0.0
    rows: tuple[Key, ...] = ()
    is_strict: bool = False
    cause: str = ""


def mark(
    touched: Sequence[Touched], token: bytes, terms: Terms, known: KnownSchemas
) -> Generator[Operation, Written, None]:
    """Nobody fills what is touched until the release, or until `write_timeout` has passed.

    One round trip; one more where a schema was announced since this process last wrote.
    """
    timeout_ms = round(terms.write_timeout * 1000)
    yield from _repeated(
        touched,
        known,
        lambda groups: Mark(groups, token, terms.epoch(), timeout_ms),
    )


def release(
    touched: Sequence[Touched], token: bytes, terms: Terms, known: KnownSchemas
) -> Generator[Operation, Written, None]:
    """The write is over: the last writer out deletes the entries.

    Without a mark before it, this drops them and refuses the fills under way.
    """
    yield from _repeated(touched, known, lambda groups: Release(groups, token, terms.epoch()))


def _repeated(
    touched: Sequence[Touched],
    known: KnownSchemas,
    operation: Callable[[list[WriteGroup]], Operation],
) -> Generator[Operation, Any, None]:
    """Perform until the schemas that it was given are the ones alive."""
    for batch in _batches(touched, known):
        outdated: Sequence[tuple[bytes, ...]] | None = ()
        while outdated is not None:
            reply = yield operation([_group(each, known) for each in batch])
            outdated = reply.outdated
            for each, schemas in zip(batch, outdated or (), strict=False):
                known[each.family.epoch_key] = schemas


def _batches(touched: Sequence[Touched], known: KnownSchemas) -> Iterator[list[Touched]]:
    """All in one call where that is short; else in slices of each reference's entries."""
    if not touched:
        return
    most = max(1, *(len(known.get(each.family.epoch_key, ())) for each in touched))
    size = max(1, SCRIPT_KEYS // most)
    if sum(len(each.texts) for each in touched) <= size:
        yield list(touched)
        return
    for each in touched:
        if each.whole:
            yield [each._replace(texts=())]
        for texts in in_batches(each.texts, size):
            yield [each._replace(texts=tuple(texts), whole=False)]


def _group(touched: Touched, known: KnownSchemas) -> WriteGroup:
    family = touched.family
    schemas = known.get(family.epoch_key, ())
    entry_keys = [family.head(schema) + text for schema in schemas for text in touched.texts]
    return WriteGroup(
        family.epoch_key, schemas, entry_keys, touched.whole, round(touched.grace * 1000)
    )
