"""The protocol of reads: entries first, then a lease, one load, a fill; each step an operation.

Nothing here does I/O or knows a clock. `answer` is the whole of it; the other functions are its
steps, in the order in which a cold key takes them.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from refcache.core import entries
from refcache.core.batches import in_batches
from refcache.core.entries import Entry
from refcache.core.events import FillRefused, NotStored, RowsLoaded, StoreFailed
from refcache.core.exceptions import (
    LoadFailed,
    ReferenceUnavailable,
    StoreUnavailable,
    Undecodable,
    Unencodable,
)
from refcache.core.keys import Key
from refcache.core.operations import (
    Claim,
    ClaimGroup,
    Fill,
    FillItem,
    Grant,
    Load,
    Loaded,
    LoadRequest,
    MayFill,
    Read,
    Wait,
)
from refcache.core.pages import Ask, Held, Mode, Open, Page, sort, sort_one
from refcache.core.sources import ABSENT
from refcache.core.terms import Steps, Terms

SCRIPT_KEYS = 500  # keys of one script call; Redis serves nobody else for some milliseconds
SCHEMA_KEPT = 7 * 24 * 3600.0  # seconds; a process that reads less often announces itself again
POLL_FIRST, POLL_GROWTH, POLL_LONGEST = 0.002, 1.5, 0.05  # seconds: a load takes some milliseconds


def answer(asks: Sequence[Ask], terms: Terms) -> Steps[list[Page]]:
    """A page per ask: each key's row, or `ABSENT`.

    Warm: one `Read`. Cold: `Read`, `Claim`, one `Load`, `Fill`. Keys that another caller is
    loading are waited for, up to `lease_wait`.

    Raises:
        ReferenceUnavailable: The database could not be read.
    """
    pages = [Page(ask.source, ask.mode, unread=list(ask.keys)) for ask in asks]
    waited, pause = 0.0, POLL_FIRST
    try:
        while True:
            yield from _probe(pages, terms)
            token = yield from _claim(pages, terms)
            yield from _load(pages, token, terms)
            if not any(page.waiting for page in pages):
                return pages
            if waited < terms.lease_wait:
                yield Wait(pause)
                waited, pause = waited + pause, min(pause * POLL_GROWTH, POLL_LONGEST)
            _end_wait(pages, is_over=waited >= terms.lease_wait)
    except StoreUnavailable as exc:
        terms.emit(StoreFailed("", "read", str(exc)))
    _expect_nothing(pages)
    yield from _load(pages, None, terms)
    return pages


def _end_wait(pages: list[Page], *, is_over: bool) -> None:
    """Look again at what was waited for; after the last look, ask the database."""
    for page in pages:
        (page.direct if is_over else page.unread).extend(page.waiting)
        page.waiting = []


def _expect_nothing(pages: list[Page]) -> None:
    """Without a store, every key that is not answered yet is the database's."""
    for page in pages:
        opened = [candidate.key for candidate in page.open]
        page.direct += [*page.unread, *opened, *page.leased, *page.waiting]
        page.unread, page.open, page.leased, page.waiting = [], [], {}, []


# Probe: what the store knows.


def _probe(pages: list[Page], terms: Terms) -> Steps[None]:
    unread = [page for page in pages if page.unread]
    if not unread:
        return
    keys = [page.source.entry_keys(page.unread) for page in unread]
    epoch_keys = [page.source.epoch_key for page in unread]
    reply = yield Read([*epoch_keys, *chain.from_iterable(keys)])
    start = len(unread)
    for page, epoch_key, entry_keys, raw_epoch in zip(
        unread, epoch_keys, keys, reply.raws, strict=False
    ):
        end = start + len(entry_keys)
        asked, page.unread, page.read_at = page.unread, [], reply.now
        page.epoch = entries.parse_epoch(epoch_key, raw_epoch)
        sort(page, asked, entry_keys, reply.raws[start:end], reply.now, terms)
        start = end


# Claim: who loads what.


def _claim(pages: list[Page], terms: Terms) -> Steps[bytes | None]:
    """Claim what is open; the token of the leases, or None where nothing was claimed."""
    candidates = [page for page in pages if page.open]
    if not candidates:
        return None
    may_fill = yield MayFill([page.source for page in candidates])
    for page, allowed in zip(candidates, may_fill, strict=True):
        if not allowed:
            page.direct += [candidate.key for candidate in page.open]
            page.open = []
    claiming = [(page, candidate) for page in candidates for candidate in page.open]
    if not claiming:
        return None
    token = terms.token()
    for batch in in_batches(claiming, SCRIPT_KEYS):
        yield from _claim_batch(batch, token, terms)
    return token


def _claim_batch(batch: list[tuple[Page, Open]], token: bytes, terms: Terms) -> Steps[None]:
    candidates: dict[Page, list[Open]] = {}
    for page, candidate in batch:
        candidates.setdefault(page, []).append(candidate)
    claimed = yield Claim(
        groups=[_claim_group(page, opened) for page, opened in candidates.items()],
        token=token,
        fresh_epoch=terms.epoch(),
        lease_ms=round(terms.lease_timeout * 1000),
        witnesses={each.entry_key: each.witness for _, each in batch if each.witness},
        refresh=any(page.mode is Mode.REFRESH for page in candidates),
    )
    for (page, opened), raw_epoch, replies in zip(
        candidates.items(), claimed.epochs, claimed.replies, strict=True
    ):
        page.epoch = entries.parse_epoch(page.source.epoch_key, raw_epoch)
        page.open = page.open[len(opened) :]
        for candidate, reply in zip(opened, replies, strict=True):
            _take_reply(page, candidate, _own(reply, token), claimed.now, terms)


def _own(reply: Grant | bytes, token: bytes) -> Grant | bytes:
    """The reply to a claim; our own lease is one that a lost reply has kept from us."""
    if isinstance(reply, Grant) or not entries.is_well_formed(reply):
        return reply
    entry = entries.unpack(reply)
    if entry.token != token:  # It stands in a lease, or in a value that is refreshed.
        return reply
    is_primary = entry.state == entries.LEASE and entry.until
    return Grant.PRIMARY_LEASE if is_primary else Grant.LEASE


def _claim_group(page: Page, opened: list[Open]) -> ClaimGroup:
    source = page.source
    kept = max(SCHEMA_KEPT, 2 * (source.ttl + source.tolerance))
    entry_keys = [candidate.entry_key for candidate in opened]
    return ClaimGroup(source.epoch_key, source.schema, entry_keys, round(kept * 1000))


def _take_reply(page: Page, candidate: Open, reply: Grant | bytes, now: int, terms: Terms) -> None:
    if reply is Grant.REFUSED or page.epoch is None:
        page.direct.append(candidate.key)
    elif isinstance(reply, Grant):
        page.leased[candidate.key] = Held(candidate.entry_key, page.epoch.id, now)
        if reply is Grant.PRIMARY_LEASE:
            page.primary.add(candidate.key)
    else:  # Somebody was quicker; what stands there now is newer than our distrust.
        page.mode, still_open = Mode.TRUST, page.open
        page.open = []
        sort_one(page, candidate.key, candidate.entry_key, reply, now, terms)
        page.direct += [again.key for again in page.open]
        page.open = still_open


# Load and fill: one query per source, in a statement after the claim.


def _load(pages: list[Page], token: bytes | None, terms: Terms) -> Steps[None]:
    wanted = [(page, request) for page in pages for request in _load_requests(page)]
    if not wanted:
        return
    try:
        loaded = yield Load([request for _, request in wanted])
    except GeneratorExit:
        raise
    except BaseException as exc:  # A cancellation, too: others wait for what we hold.
        yield from _give_back(pages, token, terms)
        if isinstance(exc, LoadFailed):
            raise ReferenceUnavailable(exc.source.family.reference, list(exc.keys)) from exc
        raise
    items = list(_take_rows(wanted, loaded, terms))
    for page in pages:
        page.leased, page.primary, page.direct = {}, set(), []
    yield from _fill(items, token, terms)


def _take_rows(
    wanted: list[tuple[Page, LoadRequest]], loaded: Loaded, terms: Terms
) -> Iterator[tuple[Page, FillItem]]:
    """Answer the keys that were loaded; what to store of them."""
    for (page, request), rows, storable in zip(wanted, loaded.rows, loaded.storable, strict=True):
        terms.emit(RowsLoaded(page.source.family.reference, len(request.keys)))
        for key in request.keys:
            payload = _take_row(page, key, rows.get(key), terms)
            if key in page.leased:
                yield page, _fill_item(page, key, payload if storable else None, terms)


def _give_back(pages: list[Page], token: bytes | None, terms: Terms) -> Steps[None]:
    held = [(page, each) for page in pages for each in page.leased.values()]
    items = [(page, FillItem(each.entry_key, b"", 0)) for page, each in held]
    yield from _fill(items, token, terms)


def _load_requests(page: Page) -> list[LoadRequest]:
    """All keys in one request; in two where some may come from a replica."""
    if not page.source.grace:
        keys = [*page.leased, *page.direct]
        return [LoadRequest(page.source, keys, primary=True)] if keys else []
    anywhere = [key for key in page.leased if key not in page.primary]
    only_primary = [*page.primary, *page.direct]
    return [
        LoadRequest(page.source, keys, is_primary)
        for keys, is_primary in ((anywhere, False), (only_primary, True))
        if keys
    ]


def _take_row(page: Page, key: Key, row: tuple[Any, ...] | None, terms: Terms) -> bytes | None:
    """Answer *key*; its payload, `b""` for an absence, None where the row cannot be stored.

    The answer is decoded from the payload, so that a cold read equals a warm one.
    """
    page.loaded.add(key)
    if row is None:
        page.rows[key] = ABSENT
        return b""
    try:
        payload = page.source.encode(row)
        page.rows[key] = page.source.decode(payload)
    except (Unencodable, Undecodable) as exc:
        page.rows[key] = page.source.wrap(row)
        terms.emit(NotStored(page.source.family.reference, str(exc)))
        return None
    return payload


def _fill_item(page: Page, key: Key, payload: bytes | None, terms: Terms) -> FillItem:
    """The entry for a loaded row; stamped with the epoch that its own claim saw."""
    source, held = page.source, page.leased[key]
    is_absent = page.rows[key] is ABSENT
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
    keep_ms = fresh_ms + round(1000 * source.tolerance)
    return FillItem(held.entry_key, entries.pack(held.entry_key, entry), keep_ms)


def _fill(items: list[tuple[Page, FillItem]], token: bytes | None, terms: Terms) -> Steps[None]:
    """Offer what was loaded; the callers have their answer whether or not it is taken."""
    if token is None:
        return
    refused: Counter[str] = Counter()
    for batch in in_batches(items, SCRIPT_KEYS):
        try:
            filled = yield Fill(token, [item for _, item in batch])
        except StoreUnavailable as exc:
            terms.emit(StoreFailed("", "fill", str(exc)))
            return
        for (page, item), stored in zip(batch, filled.stored, strict=True):
            page.filled += bool(item.raw and stored)
            refused[page.source.family.reference] += not stored
    for reference, keys in (+refused).items():
        terms.emit(FillRefused(reference, keys))
