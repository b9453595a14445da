"""One source's part of a read: which of its keys are answered, and by what the rest is held up."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from struct import Struct
from typing import Any, NamedTuple
from zlib import crc32

from refcache.core import entries
from refcache.core.entries import CHECKED, FORMAT, HEADER, Entry, Epoch, six, witness
from refcache.core.events import CorruptEntry
from refcache.core.exceptions import StoreUnavailable, Undecodable
from refcache.core.keys import Key
from refcache.core.reasons import Why
from refcache.core.sources import ABSENT, FAILED, Checked, Source
from refcache.core.staleness import FRESH, Policy
from refcache.core.terms import Terms

# Of an entry's header: checksum; format, state and epoch; fresh until. See entries.py.
_glance = Struct(">I14x14s6x6s").unpack_from


class Mode(Enum):
    """What a read makes of a fresh value in the store."""

    TRUST = 0  # serve it
    RENEW = 1  # load it anew where it is old, or soon will be; the others are no business of ours
    REFRESH = 2  # load it anew; others are served the old one meanwhile
    RELOAD = 3  # load it anew; nobody is served the old one meanwhile


class Ask(NamedTuple):
    """Keys of one source, distinct; `horizon_ms` is what soon means to `Mode.RENEW`."""

    source: Source
    keys: Sequence[Key]
    mode: Mode = Mode.TRUST
    policy: Policy = FRESH
    horizon_ms: int = 0


class Open(NamedTuple):
    """A key that may be claimed; `witness` where what stands there is not trusted."""

    key: Key
    entry_key: bytes
    witness: bytes | None


class Held(NamedTuple):
    """A key under our lease: its entry, the epoch that the claim saw, and when that was (ms)."""

    entry_key: bytes
    epoch: bytes
    at: int


class Old(NamedTuple):
    """A value past its TTL that is served where the database gives none.

    `age_ms` and `left_ms`, for which it may still be served, are those of `seen_at` (seconds of a
    monotonic clock).
    """

    row: Any
    age_ms: int
    left_ms: int
    seen_at: float


@dataclass(slots=True, eq=False)
class Page:
    """One source's part of a read, and how far each of its keys has come.

    `rows` has a key as soon as it is answered. `why` says of each key what kept it from being a
    fresh value of the store; `copied` has the ages (ms) of the answers that are copies, and
    `delays` for how long (ms) a load was waited for before an old value was served.
    """

    source: Source
    mode: Mode
    policy: Policy = FRESH
    horizon_ms: int = 0
    rows: dict[Key, Any] = field(default_factory=dict)
    stored: dict[Key, bytes] = field(default_factory=dict)  # the entries of what the store had
    loaded: set[Key] = field(default_factory=set)
    unread: list[Key] = field(default_factory=list)
    open: list[Open] = field(default_factory=list)
    leased: dict[Key, Held] = field(default_factory=dict)
    primary: set[Key] = field(default_factory=set)  # of the leased: not from a replica
    direct: list[Key] = field(default_factory=list)  # to be read from the database, never filled
    waiting: list[Key] = field(default_factory=list)
    epoch: Epoch | None = None
    asked_at: float = 0.0  # seconds of a monotonic clock
    writes: int = 0  # of this process, when it asked
    read_at: int = 0  # ms
    filled: int = 0  # how many loaded rows the store took
    old: dict[Key, Old] = field(default_factory=dict)
    due: list[Key] = field(default_factory=list)  # to be refreshed in the background
    why: dict[Key, Why] = field(default_factory=dict)
    copied: dict[Key, int] = field(default_factory=dict)
    failures: dict[Key, Exception] = field(default_factory=dict)
    delays: dict[Key, int] = field(default_factory=dict)
    trouble: StoreUnavailable | None = None  # with the store, in this read

    def fail(self, key: Key, error: Exception, why: Why, now: float) -> None:
        """The database gives no answer for *key*, or not in time: an old one, or none."""
        old = self.old.get(key)
        delay_ms = round(1000 * (now - old.seen_at)) if old is not None else 0
        if old is not None and delay_ms < old.left_ms:
            self.rows[key], self.why[key], self.delays[key] = old.row, why, delay_ms
            if key not in self.stored:
                self.copied[key] = old.age_ms + delay_ms
            return
        self.rows[key] = FAILED
        self.failures[key] = error


def horizon_ms(source: Source, policy: Policy, terms: Terms) -> int:
    """How soon a value must expire to be refreshed now, in ms; drawn anew for each page.

    Source:
        XFetch: Vattani, Chierichetti, Lowenstein, "Optimal Probabilistic Cache Stampede
        Prevention", PVLDB 8(8), 2015, section 4. Differs in that a page draws once for all its
        rows, as they are loaded together, and that the time that a load takes is the one of this
        process's last load, not stored with each value.
    """
    if not (terms.early and policy.while_revalidate_ms and source.pace.seconds):
        return 0
    return round(-1000 * source.pace.seconds * terms.early * math.log(1 - terms.chance()))


def sort(
    page: Page,
    keys: Sequence[Key],
    entry_keys: Sequence[bytes],
    raws: Sequence[bytes | None],
    now: int,
    terms: Terms,
) -> None:
    """Put each key where it belongs: answered, open, waiting or direct."""
    epoch = page.epoch
    mine = epoch.schema(page.source.schema) if epoch else None
    if epoch is None or mine is None:  # Whatever stands there, no write has to have reached it.
        page.open += [Open(k, e, None) for k, e in zip(keys, entry_keys, strict=True)]
    elif epoch.is_marked(now) or mine.since > now:
        page.direct += keys
        page.why.update(dict.fromkeys(keys, Why.WRITTEN))
    else:
        if page.mode is Mode.TRUST and _take_known(page, epoch, keys, entry_keys, raws, now):
            return
        found = zip(keys, entry_keys, raws, strict=True)
        rest = _take_values(page, epoch, found, now) if page.mode is Mode.TRUST else found
        for key, entry_key, raw in rest:
            sort_one(page, key, entry_key, raw, now, terms)


Found = tuple[Key, bytes, bytes | None]


def _take_known(
    page: Page,
    epoch: Epoch,
    keys: Sequence[Key],
    entry_keys: Sequence[bytes],
    raws: Sequence[bytes | None],
    now: int,
) -> bool:
    """Take all of a page whose bytes this process has checked and decoded before.

    Whether they still stand was asked of the store, and whether they are fresh and of this epoch
    is asked here: only the checksum and the decoding are spared. This and `_take_values` are the
    cost of a warm page, so they compare bytes and call next to nothing of ours.
    """
    checked = page.source.memory.of(FORMAT + entries.VALUE + epoch.id)
    try:
        known_raws, untils, rows = zip(*map(checked.__getitem__, entry_keys), strict=True)
    except KeyError:
        return False
    if known_raws != tuple(raws) or min(untils) <= six(now + page.horizon_ms):
        return False
    page.rows.update(zip(keys, rows, strict=True))
    page.stored.update(zip(keys, known_raws, strict=True))
    return True


def _take_values(page: Page, epoch: Epoch, found: Iterable[Found], now: int) -> list[Found]:
    """Take all values that stay fresh for a while; give back what is something else."""
    source, head, soon = page.source, FORMAT + entries.VALUE + epoch.id, six(now + page.horizon_ms)
    rest: list[Found] = []
    for key, entry_key, raw in found:
        if (
            raw is not None
            and len(raw) > HEADER
            and (seen := _glance(raw))[1] == head
            and seen[2] > soon
            and crc32(raw[CHECKED:], crc32(entry_key)) == seen[0]
            and (row := _decoded(source, raw)) is not None
        ):
            page.rows[key], page.stored[key] = row, raw
            if source.is_shareable:
                source.memory.keep(head, entry_key, Checked(raw, seen[2], row))
        else:
            rest.append((key, entry_key, raw))
    return rest


def _decoded(source: Source, raw: bytes) -> Any:
    try:
        return source.decode(raw[HEADER:])
    except Undecodable:
        return None


def sort_one(
    page: Page, key: Key, entry_key: bytes, raw: bytes | None, now: int, terms: Terms
) -> None:
    entry = entries.parse(entry_key, raw)
    if raw is None or entry is None:
        return _sort_corrupt(page, key, entry_key, raw, terms)
    if entry.state == entries.MARKER:
        if not any(t.deadline > now for t in entries.unpack_tokens(entry.body)):
            return page.open.append(Open(key, entry_key, None))
        page.why[key] = Why.WRITTEN
        return page.direct.append(key)
    if entry.state in (entries.VALUE, entries.ABSENT):
        return _sort_stored(page, key, entry_key, raw, entry, now, terms)
    if entry.deadline > now:
        return page.waiting.append(key)
    return page.open.append(Open(key, entry_key, None))


def _sort_stored(
    page: Page, key: Key, entry_key: bytes, raw: bytes, entry: Entry, now: int, terms: Terms
) -> None:
    if page.epoch is None or entry.epoch != page.epoch.id:
        return page.open.append(Open(key, entry_key, None))
    try:
        if _is_served(page, key, raw, entry, now):
            return None
    except Undecodable:
        return _sort_corrupt(page, key, entry_key, raw, terms)
    if entry.deadline > now:  # Somebody refreshes it.
        return page.waiting.append(key)
    shown = witness(raw) if page.mode is Mode.RELOAD and entry.until > now else None
    return page.open.append(Open(key, entry_key, shown))


def _is_served(page: Page, key: Key, raw: bytes, entry: Entry, now: int) -> bool:
    """Whether *key* is answered by what is stored; if not, that may serve as the old value."""
    is_refreshed = entry.deadline > now
    is_old_soon = entry.until <= now + page.horizon_ms
    if page.mode is Mode.RENEW:
        is_taken = is_refreshed or not is_old_soon
    else:
        is_taken = page.mode is Mode.TRUST and entry.until + page.policy.while_revalidate_ms > now
    is_tolerated = page.mode is Mode.TRUST and entry.until + page.policy.if_error_ms > now
    if not (is_taken or is_tolerated):
        return False
    row = ABSENT if entry.state == entries.ABSENT else page.source.decode(entry.body)
    page.stored[key] = raw
    if not is_taken:
        left_ms = entry.until + page.policy.if_error_ms - now
        page.old[key] = Old(row, now - entry.at, left_ms, page.asked_at)
        return False
    page.rows[key] = row
    if entry.until <= now and page.mode is Mode.TRUST:
        page.why[key] = Why.REVALIDATING
    if is_old_soon and not is_refreshed and page.mode is Mode.TRUST:
        page.due.append(key)
    return True


def _sort_corrupt(page: Page, key: Key, entry_key: bytes, raw: bytes | None, terms: Terms) -> None:
    if raw is None:
        return page.open.append(Open(key, entry_key, None))
    terms.emit(CorruptEntry(page.source.family.reference, entry_key))
    return page.open.append(Open(key, entry_key, witness(raw)))
