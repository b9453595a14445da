"""The protocol of reads: entries first, then a lease, one load, a fill; each step an operation.

Nothing here does I/O or knows a clock. `answer` is the whole of it; the other functions are its
steps, in the order in which a cold key takes them. loading.py has the last ones.
"""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from itertools import chain

from refcache.core import entries
from refcache.core.claims import claim
from refcache.core.copying import keep_copies, note_seen, take_copies
from refcache.core.entries import Epoch
from refcache.core.events import NotLoaded, ServedStale
from refcache.core.exceptions import (
    InvalidCondition,
    LoadTimedOut,
    StoreLeftAlone,
    StoreUnavailable,
)
from refcache.core.loading import (
    Job,
    Part,
    give_back,
    jobs_of,
    load_and_fill,
    store_trouble,
)
from refcache.core.operations import Detach, Entries, MayFill, Read, Wait
from refcache.core.pages import (
    Ask,
    Mode,
    Page,
    horizon_ms,
    sort,
)
from refcache.core.reasons import STALE, Why
from refcache.core.sources import FAILED
from refcache.core.staleness import shortest
from refcache.core.terms import Steps, Terms

POLL_FIRST, POLL_GROWTH, POLL_LONGEST = 0.002, 1.5, 0.05  # seconds: a load takes some milliseconds


def answer(
    asks: Sequence[Ask], terms: Terms, trouble: StoreUnavailable | None = None
) -> Steps[list[Page]]:
    """A page per ask: each key's row, `ABSENT`, or `FAILED` where nobody could say.

    Warm: one `Read`. Cold: `Read`, `Claim`, one `Load`, `Fill`. Keys that another caller is
    loading are waited for, up to `lease_wait`.

    Args:
        asks: One per source.
        terms: The protocol's.
        trouble: How the store has failed in this read before: it is not asked again.
    """
    pages = [_page(ask, terms) for ask in asks]
    waited, loaded, pause = 0.0, 0.0, POLL_FIRST  # not the store's time: that has a limit itself
    try:
        while trouble is None:
            yield from _probe(pages, terms)
            token = yield from claim(pages, terms)
            if token is None and not any(page.direct or page.waiting for page in pages):
                break
            since = terms.monotonic()
            yield from _load(pages, token, terms, waited + loaded)
            now = terms.monotonic()
            loaded += now - since
            _lose_patience(pages, waited + loaded, now)
            if not any(page.waiting for page in pages):
                break
            if waited < terms.lease_wait:
                yield Wait(pause)
                waited, pause = waited + pause, min(pause * POLL_GROWTH, POLL_LONGEST)
            _end_wait(pages, is_over=waited >= terms.lease_wait)
        yield from _look_again(pages, terms)
    except StoreUnavailable as exc:
        terms.emit(store_trouble("read", exc))
        trouble = exc
    if trouble is not None:
        yield from _without_store(pages, trouble, terms, waited + loaded)
    _tell(pages, terms)
    return pages


def _page(ask: Ask, terms: Terms) -> Page:
    is_renewing = ask.mode is Mode.RENEW
    horizon = ask.horizon_ms if is_renewing else horizon_ms(ask.source, ask.policy, terms)
    return Page(ask.source, ask.mode, ask.policy, horizon, unread=list(ask.keys))


def _lose_patience(pages: list[Page], waited: float, now: float) -> None:
    """Another's load is waited for as long as one's own: then it is slow, or has failed.

    Not at all where loads fail and an old value is tolerated.
    """
    for page in pages:
        policy, trouble = page.policy, page.source.pace.trouble
        is_over = policy.load_timeout is not None and waited >= policy.load_timeout
        is_slow = policy.soft_timeout is not None and waited >= policy.soft_timeout
        for key in page.waiting:
            if is_over or ((is_slow or trouble) and key in page.old):
                error = LoadTimedOut(waited, is_begun=True)
                page.fail(key, error, trouble or Why.LOAD_SLOW, now)
        page.waiting = [key for key in page.waiting if key not in page.rows]


def _end_wait(pages: list[Page], *, is_over: bool) -> None:
    """Look again at what was waited for; after the last look, ask the database."""
    for page in pages:
        (page.direct if is_over else page.unread).extend(page.waiting)
        if is_over:
            page.why.update(dict.fromkeys(page.waiting, Why.BUSY))
        page.waiting = []


def _look_again(pages: list[Page], terms: Terms) -> Steps[None]:
    """Where the database gave none, the store may by now: what was being written is, perhaps."""
    failed = [(page, page.failures) for page in pages if page.failures]
    if not failed:
        return
    for page, failures in failed:
        page.unread, page.failures = list(failures), {}
    with suppress(StoreUnavailable):
        yield from _probe(pages, terms)
    for page, failures in failed:
        page.unread, page.open, page.direct, page.waiting = [], [], [], []
        for key, error in failures.items():
            if page.rows[key] is FAILED:
                page.fail(key, error, _why(error), terms.monotonic())
            elif page.why.get(key) not in STALE:
                page.why.pop(key, None)


def _without_store(
    pages: list[Page], trouble: StoreUnavailable, terms: Terms, waited: float
) -> Steps[None]:
    """Every key that is not answered yet is the database's; but for what was copied of it."""
    # While it is left alone; what fails but once, or for want of a connection, may be well.
    is_out = isinstance(trouble, StoreLeftAlone)
    for page in pages:
        page.trouble = trouble
        opened = [candidate.key for candidate in page.open]
        page.direct += [*page.unread, *opened, *page.leased, *page.waiting]
        page.unread, page.open, page.leased, page.waiting = [], [], {}, []
        page.why.update(dict.fromkeys(page.direct, Why.STORE_DOWN))
    asked = [page for page in pages if page.direct]
    if not asked:
        return
    # A transaction that may not fill has rows of its own, which are not for others to see.
    may_fill = yield MayFill([page.source for page in asked])
    shared = [page for page, allowed in zip(asked, may_fill, strict=True) if allowed]
    for page in shared:
        take_copies(page, terms, is_out=is_out)
    since = terms.monotonic()
    writes = [terms.copies.writes(page.source) for page in shared]
    wanted = [tuple(page.direct) for page in shared]
    yield from _load(pages, None, terms, waited)
    for page, keys, before in zip(shared, wanted, writes, strict=True):
        keep_copies(page, keys, terms, since, before)


def _tell(pages: list[Page], terms: Terms) -> None:
    for page in pages:
        if not page.why:  # A warm page.
            continue
        reference = page.source.family.reference
        stale = Counter(w for key, w in page.why.items() if w in STALE or key in page.copied)
        for why, keys in stale.items():
            terms.emit(ServedStale(reference, keys, str(why)))
        if page.failures:
            error = next(iter(page.failures.values()))
            terms.emit(NotLoaded(reference, len(page.failures), str(error)))


# Probe: what the store knows.


def _probe(pages: list[Page], terms: Terms) -> Steps[None]:
    unread = [page for page in pages if page.unread]
    if not unread:
        return
    keys = [page.source.entry_keys(page.unread) for page in unread]
    epoch_keys = [page.source.epoch_key for page in unread]
    for page in unread:
        page.asked_at, page.writes = terms.monotonic(), terms.copies.writes(page.source)
    reply = yield Read([*epoch_keys, *chain.from_iterable(keys)])
    start = len(unread)
    for page, epoch_key, entry_keys, raw_epoch in zip(
        unread, epoch_keys, keys, reply.raws, strict=False
    ):
        end = start + len(entry_keys)
        asked, page.unread, page.read_at = page.unread, [], reply.now
        page.epoch = _current(entries.parse_epoch(epoch_key, raw_epoch), reply)
        sort(page, asked, entry_keys, reply.raws[start:end], reply.now, terms)
        note_seen(page, asked, entry_keys, terms)
        start = end


def _current(epoch: Epoch | None, reply: Entries) -> Epoch | None:
    """The epoch, if it is of the server that has replied, and of its life since its last start."""
    is_known = epoch is not None and reply.incarnation in (0, epoch.incarnation)
    return epoch if is_known else None


# Load and fill: one query per source, in a statement after the claim.


def _load(pages: list[Page], token: bytes | None, terms: Terms, waited: float = 0.0) -> Steps[None]:
    """Load what nobody else does.

    What has no limit is loaded together. Each source that has one is loaded by itself, within the
    time that is left of it: so a database that hangs takes nothing from the others.
    """
    limited = [page for page in pages if page.policy.is_limited]
    free = [page for page in pages if not page.policy.is_limited]
    jobs = [job for page in free for job in jobs_of(page, apart=False)]
    if jobs:
        since = terms.monotonic()
        parts = yield from load_and_fill(jobs, token, terms)
        _take_parts(jobs, parts, since, terms)
    for page in limited:
        yield from _load_limited(jobs_of(page, apart=True), token, terms, waited)
    for page in pages:
        page.leased, page.primary, page.direct = {}, set(), []


def _load_limited(jobs: list[Job], token: bytes | None, terms: Terms, waited: float) -> Steps[None]:
    """Load one page's rows; those that are not leased in this thread, see `jobs_of`."""
    since = terms.monotonic()
    beside, here = [job for job in jobs if job.leased], [job for job in jobs if not job.leased]
    if beside:
        parts = yield from _load_beside(beside, token, terms, _patience(beside, waited))
        _take_parts(beside, parts, since, terms)
    if here:
        seconds = _patience(here, waited + terms.monotonic() - since)
        parts = yield from load_and_fill(here, None, terms, seconds)
        _take_parts(here, parts, since, terms)


def _load_beside(
    jobs: list[Job], token: bytes | None, terms: Terms, seconds: float | None
) -> Steps[list[Part]]:
    """Load within *seconds*; what takes longer is finished by itself, and fills."""
    if seconds is None:
        return (yield from load_and_fill(jobs, token, terms))
    try:
        parts: list[Part] = yield Detach(
            load_and_fill(jobs, token, terms), seconds, jobs[0].request.source
        )
    except LoadTimedOut as exc:
        if not exc.is_begun:
            yield from give_back(jobs, token, terms)
        return [Part({}, dict.fromkeys(job.request.keys, exc)) for job in jobs]
    return parts


def _take_parts(jobs: list[Job], parts: list[Part], since: float, terms: Terms) -> None:
    now = terms.monotonic()
    for job, part in zip(jobs, parts, strict=True):
        page = job.page
        page.rows.update(part.rows)
        page.loaded.update(part.rows)
        page.filled += part.filled
        for key, error in part.failures.items():
            page.fail(key, error, _why(error), now)
        troubles = (e for e in part.failures.values() if not isinstance(e, InvalidCondition))
        page.source.pace.trouble = next(map(_why, troubles), None)
        if not part.failures:
            page.source.pace.seconds = now - since


def _why(error: Exception) -> Why:
    return Why.LOAD_SLOW if isinstance(error, LoadTimedOut) else Why.LOAD_FAILED


def _patience(jobs: list[Job], waited: float) -> float | None:
    """How long this load of one page's rows may take, in seconds; None: for ever."""
    page = jobs[0].page
    has_old = all(key in page.old for job in jobs for key in job.request.keys)
    soft = page.policy.soft_timeout if has_old else None
    seconds = shortest(page.policy.load_timeout, soft)
    return None if seconds is None else max(seconds - waited, 0.001)
