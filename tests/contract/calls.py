"""The operations of the contract, with what matters to no test filled in."""

from refcache.core import entries
from refcache.core.entries import Entry
from refcache.core.operations import (
    Claim,
    Claimed,
    ClaimGroup,
    Fill,
    FillItem,
    Grant,
    Mark,
    Read,
    Release,
    WriteGroup,
    Written,
)
from tests.contract.subjects import Subject

EPOCH, ONE, TWO = b"c:epoch", b"c:1:aaaaaaaa:1", b"c:1:aaaaaaaa:2"
SCHEMA, OTHER_SCHEMA = b"schema 1....", b"schema 2...."
MINE, YOURS = b"my token", b"yr token"
KEEP_MS = 7 * 24 * 3600 * 1000
LEASE_MS, TIMEOUT_MS, GRACE_MS = 10_000, 60_000, 5_000


def claim(
    subject: Subject,
    *keys: bytes,
    token: bytes = MINE,
    refresh: bool = False,
    witnesses: dict[bytes, bytes] | None = None,
) -> Claimed:
    group = ClaimGroup(EPOCH, SCHEMA, keys, KEEP_MS)
    operation = Claim([group], token, b"epoch by " + token[:3], LEASE_MS, witnesses or {}, refresh)
    claimed: Claimed = subject.perform(operation)
    return claimed


def leased(subject: Subject, *keys: bytes, token: bytes = MINE) -> list[Grant | bytes]:
    return list(claim(subject, *keys, token=token).replies[0])


def value(subject: Subject, key: bytes, *, fresh_ms: int = 60_000, body: bytes = b"row") -> bytes:
    epoch = entries.parse_epoch(EPOCH, subject.get(EPOCH))
    assert epoch is not None
    now = subject.perform(Read([key])).now
    return entries.pack(
        key, Entry(entries.VALUE, epoch=epoch.id, at=now, until=now + fresh_ms, body=body)
    )


def fill(subject: Subject, key: bytes, raw: bytes, token: bytes = MINE) -> bool:
    stored = subject.perform(Fill(token, [FillItem(key, raw, 60_000)])).stored
    return bool(stored[0])


def filled(subject: Subject, key: bytes, *, fresh_ms: int = 60_000) -> bytes:
    leased(subject, key)
    raw = value(subject, key, fresh_ms=fresh_ms)
    assert fill(subject, key, raw)
    return raw


def group(*keys: bytes, whole: bool = False, grace_ms: int = 0) -> WriteGroup:
    return WriteGroup(EPOCH, (SCHEMA,), keys, whole, grace_ms)


def mark(subject: Subject, touched: WriteGroup, token: bytes = MINE) -> Written:
    written: Written = subject.perform(Mark([touched], token, b"epoch marked", TIMEOUT_MS))
    return written


def release(subject: Subject, touched: WriteGroup, token: bytes = MINE) -> Written:
    written: Written = subject.perform(Release([touched], token, b"epoch freed."))
    return written


def state(subject: Subject, key: bytes) -> bytes | None:
    entry = entries.parse(key, subject.get(key))
    return None if entry is None else entry.state
