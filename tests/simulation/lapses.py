"""What time and memory pressure do to entries: deadlines pass, entries are evicted."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from refcache.core import entries
from refcache.core.entries import CHECKED, Entry, Schema, Token, parse_epoch, six
from tests.simulation.rows import NOW, PAST

Raws = tuple[bytes | None, ...]


class Lapse(NamedTuple):
    """One thing that may happen to the entries by itself."""

    name: str
    raws: Raws


class Limits(NamedTuple):
    """What must not happen to the entries yet.

    Args:
        over: The tokens of writers that died or gave up, and whose transaction has ended.
        caught_up: Every replica shows the latest commit.
        keeps_values: A value is not evicted yet; it may be too old.
        evicts_epoch: An epoch entry may be evicted while no writer is under way.
    """

    over: frozenset[bytes]
    caught_up: bool
    keeps_values: bool
    evicts_epoch: bool


def lapses(keys: Sequence[bytes], raws: Raws, limits: Limits) -> Iterator[Lapse]:
    """Everything that may happen next; keys[0] is the epoch's."""
    for place, (key, raw) in enumerate(zip(keys, raws, strict=True)):
        if raw is None:
            continue
        each = _of_epoch(key, raw, limits) if place == 0 else _of_row(key, raw, limits)
        for name, new in each:
            yield Lapse(f"{name}: {key.decode()}", (*raws[:place], new, *raws[place + 1 :]))
    for token in sorted(limits.over):
        expired = tuple(map(_without_token, keys, raws, [token] * len(keys)))
        if expired != raws:
            yield Lapse(f"the marks of {token.decode()} expire", expired)


Change = tuple[str, bytes | None]


def _of_epoch(key: bytes, raw: bytes, limits: Limits) -> Iterator[Change]:
    epoch = parse_epoch(key, raw)
    if epoch and limits.evicts_epoch and not any(t.deadline > NOW for t in epoch.tokens):
        yield "evicted", None
    if epoch and limits.caught_up and epoch.reads_primary(NOW):
        under_way = {t.id for t in entries.writers(epoch.tokens) if t.deadline > NOW}
        graces = {t.id for t in epoch.tokens if t.kind == entries.GRACE_TOKEN} - under_way
        tokens = tuple(
            t._replace(deadline=PAST) if t.id in graces and t.deadline > NOW else t
            for t in epoch.tokens
        )
        if tokens != epoch.tokens:
            yield "the grace is over", entries.pack_epoch(key, epoch._replace(tokens=tokens), NOW)


def _of_row(key: bytes, raw: bytes, limits: Limits) -> Iterator[Change]:
    entry = entries.unpack(raw)
    if entry.deadline > NOW:
        yield "the lease lapses", raw[:12] + six(PAST) + raw[CHECKED:]
    if entry.state in (entries.VALUE, entries.ABSENT):
        yield from _of_value(key, entry, limits)
    elif entry.state == entries.MARKER:
        yield from _of_marker(entry, limits)
    elif entry.until > NOW:
        if limits.caught_up:
            yield "the tombstone ends", _without_tombstone(key, entry)
    elif entry.state == entries.LEASE:
        yield "evicted", None


def _of_value(key: bytes, entry: Entry, limits: Limits) -> Iterator[Change]:
    if not limits.keeps_values:
        yield "evicted", None
    if entry.until > NOW:
        yield "no longer fresh", entries.pack(key, entry._replace(until=PAST))


def _of_marker(entry: Entry, limits: Limits) -> Iterator[Change]:
    is_held = any(t.deadline > NOW for t in entries.unpack_tokens(entry.body))
    if not is_held and (limits.caught_up or entry.until <= NOW):
        yield "the marker is gone", None


def _without_tombstone(key: bytes, entry: Entry) -> bytes | None:
    if entry.state == entries.TOMBSTONE:
        return None
    return entries.pack(key, entry._replace(until=0))


def _without_token(key: bytes, raw: bytes | None, token: bytes) -> bytes | None:
    """All marks of one writer were made at once, and expire at once."""
    if raw is None or token not in raw:
        return raw
    entry = entries.unpack(raw)
    if entry.state == entries.MARKER:
        tokens = _expired(entries.unpack_tokens(entry.body), token)
        return entries.pack(key, entry._replace(body=entries.pack_tokens(tokens)))
    epoch = parse_epoch(key, raw)
    if epoch is None:
        return raw
    return entries.pack_epoch(
        key, epoch._replace(tokens=_expired(epoch.tokens, token), schemas=epoch.schemas), NOW
    )


def _expired(tokens: tuple[Token, ...], token: bytes) -> tuple[Token, ...]:
    return tuple(
        t._replace(deadline=PAST) if t.id == token and t.kind != entries.GRACE_TOKEN else t
        for t in tokens
    )


def opened(key: bytes, raw: bytes | None) -> bytes | None:
    """The epoch entry when the writers that a young schema waited for are over."""
    epoch = parse_epoch(key, raw)
    if epoch is None or all(schema.since <= NOW for schema in epoch.schemas):
        return None
    schemas = tuple(Schema(s.id, min(s.since, PAST), s.until) for s in epoch.schemas)
    return entries.pack_epoch(key, epoch._replace(schemas=schemas), NOW)
