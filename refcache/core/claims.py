"""The middle step of a read: lease what nobody else loads, so that each row is loaded once."""

from refcache.core import entries
from refcache.core.batches import SCRIPT_KEYS, in_batches
from refcache.core.operations import Claim, ClaimGroup, Grant, MayFill
from refcache.core.pages import Held, Mode, Open, Page, sort_one
from refcache.core.reasons import Why
from refcache.core.terms import Steps, Terms

SCHEMA_KEPT = 7 * 24 * 3600.0  # seconds; a process that reads less often announces itself again


def claim(pages: list[Page], terms: Terms) -> Steps[bytes | None]:
    """Claim what is open; the token of the leases, or None where nothing was claimed."""
    candidates = [page for page in pages if page.open]
    if not candidates:
        return None
    may_fill = yield MayFill([page.source for page in candidates])
    for page, allowed in zip(candidates, may_fill, strict=True):
        if not allowed:
            opened = [candidate.key for candidate in page.open]
            page.direct += opened
            page.why.update(dict.fromkeys(opened, Why.TRANSACTION))
            page.open = []
    claiming = [(page, candidate) for page in candidates for candidate in page.open]
    if not claiming:
        return None
    token = terms.token()
    refresh = any(page.mode in (Mode.RENEW, Mode.REFRESH) for page in candidates)
    for batch in in_batches(claiming, SCRIPT_KEYS):
        yield from _claim_batch(batch, token, terms, refresh=refresh)
    return token


def _claim_batch(
    batch: list[tuple[Page, Open]], token: bytes, terms: Terms, *, refresh: bool
) -> Steps[None]:
    candidates: dict[Page, list[Open]] = {}
    for page, candidate in batch:
        candidates.setdefault(page, []).append(candidate)
    claimed = yield Claim(
        groups=[_claim_group(page, opened) for page, opened in candidates.items()],
        token=token,
        fresh_epoch=terms.epoch(),
        lease_ms=round(terms.lease_timeout * 1000),
        witnesses={each.entry_key: each.witness for _, each in batch if each.witness},
        refresh=refresh,
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
    return ClaimGroup(
        source.epoch_key,
        source.schema,
        entry_keys,
        round(kept * 1000),
        round(source.grace * 1000),
    )


def _take_reply(page: Page, candidate: Open, reply: Grant | bytes, now: int, terms: Terms) -> None:
    if reply is Grant.REFUSED or page.epoch is None:
        page.direct.append(candidate.key)
        page.why[candidate.key] = Why.WRITTEN
    elif isinstance(reply, Grant):
        page.leased[candidate.key] = Held(candidate.entry_key, page.epoch.id, now)
        page.why[candidate.key] = Why.MISS
        if reply is Grant.PRIMARY_LEASE:
            page.primary.add(candidate.key)
    else:  # Somebody was quicker; what stands there now is newer than our distrust.
        if page.mode is not Mode.RENEW:
            page.mode = Mode.TRUST
        still_open = page.open
        page.open = []
        sort_one(page, candidate.key, candidate.entry_key, reply, now, terms)
        page.direct += [again.key for again in page.open]
        page.open = still_open
