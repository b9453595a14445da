"""What a read does with this process's copies: notes what it has seen, takes, keeps."""

from collections.abc import Sequence

from refcache.core.copies import Seen
from refcache.core.keys import Key
from refcache.core.pages import Mode, Old, Page
from refcache.core.terms import Terms


def note_seen(page: Page, keys: Sequence[Key], entry_keys: Sequence[bytes], terms: Terms) -> None:
    """Remember what the store had of a page, for the time in which it cannot be asked."""
    if page.policy.longest_ms:
        seen = Seen(keys, entry_keys, page.stored, page.why, page.asked_at, page.writes)
        terms.copies.seen(page.source, seen)


def take_copies(page: Page, terms: Terms, *, is_out: bool) -> None:
    """Answer from this process's copies as far as old values are tolerated; the rest is direct.

    `is_out`: the store is known to be in trouble; else copies only serve where the database fails.
    """
    # Where the store told this read of nothing to be trusted, a write may be why.
    if page.mode is not Mode.TRUST or page.read_at or not page.policy.longest_ms:
        return
    asked = dict(zip(page.direct, page.source.entry_keys(page.direct), strict=True))
    copies, now = terms.copies.of(page.source, asked.values()), terms.monotonic()
    for key, entry_key in asked.items():
        if entry_key not in copies:
            continue
        row, known_at = copies[entry_key]
        age_ms = round(1000 * (now - known_at))
        if is_out and age_ms < page.policy.while_revalidate_ms:
            page.rows[key], page.copied[key] = row, age_ms
        elif age_ms < page.policy.if_error_ms:
            left_ms = page.policy.if_error_ms - age_ms
            page.old.setdefault(key, Old(row, age_ms, left_ms, now))
    page.direct = [key for key in page.direct if key not in page.rows]


def keep_copies(page: Page, keys: Sequence[Key], terms: Terms, since: float, writes: int) -> None:
    """Keep what was loaded while the store could not be reached, for the next who ask."""
    if not page.policy.longest_ms or not page.source.is_shareable:
        return
    loaded = [key for key in keys if key in page.loaded]
    entry_keys = page.source.entry_keys(loaded)
    rows = {entry: page.rows[key] for key, entry in zip(loaded, entry_keys, strict=True)}
    terms.copies.keep(page.source, rows, since, writes)
