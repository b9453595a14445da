"""The last steps of a cold read: load rows, make entries of them, offer these to the store.

They can be performed beside the caller, who may not wait for their end: so they change nothing of
its pages, and what they have to say is their result.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from refcache.core import entries, events
from refcache.core.batches import SCRIPT_KEYS, in_batches
from refcache.core.entries import Entry
from refcache.core.events import Event, FillRefused, NotStored, RowsLoaded, StoreFailed
from refcache.core.exceptions import (
    LoadFailed,
    StoreLeftAlone,
    StoreUnavailable,
    Undecodable,
    Unencodable,
)
from refcache.core.keys import Key
from refcache.core.operations import Fill, FillItem, Load, LoadRequest
from refcache.core.pages import Held, Page
from refcache.core.sources import ABSENT, Source
from refcache.core.terms import Steps, Terms

LONGEST_PAYLOAD = 1 << 20  # bytes; a page of such rows could not be read within the timeout


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """Rows to load, and the leases under which they may be stored."""

    page: Page
    request: LoadRequest
    leased: Mapping[Key, Held]


class Part(NamedTuple):
    """What came of one job: rows or `ABSENT` by key, errors by key, how many the store took."""

    rows: Mapping[Key, Any]
    failures: Mapping[Key, Exception]
    filled: int = 0


def jobs_of(page: Page, *, apart: bool) -> list[Job]:
    """All keys in one job; in two where some may come from a replica.

    `apart`: what is not leased is a job of its own. It may be what a transaction has written, and
    only that one's connection sees it.
    """
    anywhere = [key for key in page.leased if page.source.grace and key not in page.primary]
    primary = [key for key in page.leased if not page.source.grace or key in page.primary]
    direct = page.direct
    groups = [(anywhere, False), (primary, True), (direct, True)]
    if not apart:
        groups = [(anywhere, False), ([*primary, *direct], True)]
    return [_job(page, keys, is_primary=is_primary) for keys, is_primary in groups if keys]


def _job(page: Page, keys: Sequence[Key], *, is_primary: bool) -> Job:
    leased = {key: page.leased[key] for key in keys if key in page.leased}
    return Job(page, LoadRequest(page.source, keys, is_primary), leased)


def load_and_fill(
    jobs: Sequence[Job], token: bytes | None, terms: Terms, seconds: float | None = None
) -> Steps[list[Part]]:
    """Load, and store what is leased.

    Args:
        jobs: At least one.
        token: Of the leases; None: there are none, and others may share the load.
        terms: The protocol's.
        seconds: For the load; None: it may take for ever.
    """
    try:
        loaded = yield Load([job.request for job in jobs], token is None, seconds)
    except GeneratorExit:
        raise
    except BaseException as exc:  # A cancellation, too: others wait for what we hold.
        yield from give_back(jobs, token, terms)
        if isinstance(exc, LoadFailed):
            error = exc.__cause__ if isinstance(exc.__cause__, Exception) else exc
            return [Part({}, dict.fromkeys(job.request.keys, error)) for job in jobs]
        raise
    made = [
        _made(job, rows, failures, terms, storable=storable)
        for job, rows, storable, failures in zip(
            jobs, loaded.rows, loaded.storable, loaded.failures, strict=True
        )
    ]
    stored = yield from _fill([item for _, items in made for item in items], token, terms)
    filled = Counter(stored)
    return [part._replace(filled=filled[job]) for job, (part, _) in zip(jobs, made, strict=True)]


def give_back(jobs: Iterable[Job], token: bytes | None, terms: Terms) -> Steps[None]:
    """Let others load what is leased here."""
    items = [
        (job, FillItem(held.entry_key, b"", 0)) for job in jobs for held in job.leased.values()
    ]
    yield from _fill(items, token, terms)


Items = list[tuple[Job, FillItem]]


def _made(
    job: Job,
    rows: Mapping[Key, tuple[Any, ...]],
    failures: Mapping[Key, Exception],
    terms: Terms,
    *,
    storable: bool,
) -> tuple[Part, Items]:
    """The answers to a job, and what to store of them; leases of what failed are given back."""
    source, found, items = job.request.source, {}, []
    terms.emit(RowsLoaded(source.family.reference, len(job.request.keys)))
    for key in job.request.keys:
        payload = None
        if key not in failures:
            found[key], payload = _answer(source, rows.get(key), terms)
        if key in job.leased:
            payload = payload if storable else None
            items.append((job, _fill_item(job, key, found.get(key), payload, terms)))
    return Part(found, failures), items


def _answer(source: Source, row: tuple[Any, ...] | None, terms: Terms) -> tuple[Any, bytes | None]:
    """A row's answer and its payload: `b""` for an absence, None where it cannot be stored.

    The answer is decoded from the payload, so that a cold read equals a warm one.
    """
    if row is None:
        return ABSENT, b""
    try:
        payload = source.encode(row)
        answer = source.decode(payload)
    except (Unencodable, Undecodable) as exc:
        terms.emit(NotStored(source.family.reference, str(exc)))
        return source.wrap(row), None
    if len(payload) > LONGEST_PAYLOAD:
        terms.emit(NotStored(source.family.reference, f"{len(payload)} bytes are too many"))
        return answer, None
    return answer, payload


def _fill_item(job: Job, key: Key, answer: Any, payload: bytes | None, terms: Terms) -> FillItem:
    """The entry for a loaded row; stamped with the epoch that its own claim saw."""
    source, held = job.request.source, job.leased[key]
    is_absent = answer is ABSENT
    ttl = source.negative_ttl if is_absent else source.ttl
    fresh_ms = round(1000 * ttl * (1 - terms.jitter * terms.chance()))
    if payload is None or fresh_ms <= 0:
        return FillItem(held.entry_key, b"", 0)
    entry = Entry(
        entries.ABSENT if is_absent else entries.VALUE,
        epoch=held.epoch,
        at=held.at,
        until=held.at + fresh_ms,
        body=payload,
    )
    # While it stands, it tells that a replica may not have it yet.
    keep_ms = max(fresh_ms + round(1000 * source.tolerance), round(1000 * source.grace))
    return FillItem(held.entry_key, entries.pack(held.entry_key, entry), keep_ms)


def _fill(items: Items, token: bytes | None, terms: Terms) -> Steps[list[Job]]:
    """Offer what was loaded; the callers have their answer whether or not it is taken.

    Returns:
        The job of each entry that was stored.
    """
    if token is None:
        return []
    taken: list[Job] = []
    refused: Counter[str] = Counter()
    for batch in in_batches(items, SCRIPT_KEYS):
        try:
            filled = yield Fill(token, [item for _, item in batch])
        except StoreUnavailable as exc:
            terms.emit(store_trouble("fill", exc))
            break
        for (job, item), stored in zip(batch, filled.stored, strict=True):
            if stored and item.raw:
                taken.append(job)
            refused[job.request.source.family.reference] += not stored
    for reference, keys in (+refused).items():
        terms.emit(FillRefused(reference, keys))
    return taken


def store_trouble(operation: str, error: StoreUnavailable) -> Event:
    """What to tell of a store that did not answer, or was not asked."""
    if isinstance(error, StoreLeftAlone):
        return events.StoreLeftAlone("")
    return StoreFailed("", operation, str(error))
