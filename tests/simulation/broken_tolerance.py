"""Steps without the guards of old values, copies, restarts, and loads that fail or are slow."""

from typing import Any

from refcache.core import copying, loading, pages, protocol
from refcache.core.copies import Copies, Seen
from refcache.core.entries import Entry, Epoch
from refcache.core.exceptions import LoadTimedOut, StoreUnavailable
from refcache.core.keys import Key
from refcache.core.loading import Job, Part, load_and_fill
from refcache.core.operations import Detach, Entries
from refcache.core.pages import Page
from refcache.core.sources import Source
from refcache.core.staleness import LONGEST, Policy
from refcache.core.terms import Steps, Terms
from tests.simulation.broken_steps import as_allowed, changing

UNBOUNDED = Policy(1000 * LONGEST, 1000 * LONGEST)  # ms
_is_served, _take_copies, _made = pages._is_served, copying.take_copies, loading._made
_without_store = protocol._without_store


def believes_any_incarnation(epoch: Epoch | None, reply: Entries) -> Epoch | None:
    del reply
    return epoch


def tolerates_any_age(page: Page, key: Key, raw: bytes, entry: Entry, now: int) -> bool:
    asked, page.policy = page.policy, UNBOUNDED if page.policy.longest_ms else page.policy
    try:
        return _is_served(page, key, raw, entry, now)
    finally:
        page.policy = asked


def tolerates_copies_of_any_age(page: Page, terms: Terms, *, is_out: bool) -> None:
    asked, page.policy = page.policy, UNBOUNDED if page.policy.longest_ms else page.policy
    _take_copies(page, terms, is_out=is_out)
    page.policy = asked


def takes_copies_in_spite_of_the_store(page: Page, terms: Terms, *, is_out: bool) -> None:
    page.read_at = 0
    _take_copies(page, terms, is_out=is_out)


def takes_copies_in_every_mode(page: Page, terms: Terms, *, is_out: bool) -> None:
    page.mode = pages.Mode.TRUST
    _take_copies(page, terms, is_out=is_out)


def drops_no_copies(copies: Copies, epoch_key: bytes, texts: Any, *, whole: bool) -> None:
    del copies, epoch_key, texts, whole


def counts_no_writes(copies: Copies, source: Source) -> int:
    del copies, source
    return 0


def was_always_current(seen: Seen, key: Key, raw: bytes) -> bool:
    del seen, key, raw
    return True


def shares_what_may_not_fill(
    asked: list[Page], trouble: StoreUnavailable, terms: Terms, waited: float
) -> Steps[None]:
    return changing(_without_store(asked, trouble, terms, waited), as_allowed)


def keeps_leases_of_failed_keys(
    job: Job, rows: Any, failures: Any, terms: Terms, *, storable: bool
) -> tuple[Part, Any]:
    part, items = _made(job, rows, failures, terms, storable=storable)
    failed = {held.entry_key for key, held in job.leased.items() if key in failures}
    return part, [each for each in items if each[1].entry_key not in failed]


def keeps_leases_of_what_has_not_begun(
    jobs: list[Job], token: bytes | None, terms: Terms, seconds: float | None
) -> Steps[list[Part]]:
    beside = Detach(load_and_fill(jobs, token, terms), seconds, jobs[0].request.source)
    try:
        parts: list[Part] = yield beside
    except LoadTimedOut as exc:
        return [Part({}, dict.fromkeys(job.request.keys, exc)) for job in jobs]
    return parts
