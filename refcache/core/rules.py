"""What each script does to the entries: the protocol's transitions as pure functions.

The in-memory store runs them as they are, the exhaustive model searches them, and the Lua
scripts say the same to Redis; a differential test holds the two together, byte for byte.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from refcache.core.entries import (
    ABSENT,
    CHECKED,
    EPOCH_TOKEN,
    LEASE,
    MARKER,
    NO_TOKEN,
    ROW_TOKEN,
    TOMBSTONE,
    VALUE,
    Entry,
    Epoch,
    Schema,
    Token,
    is_well_formed,
    live,
    pack,
    pack_epoch,
    pack_tokens,
    parse,
    parse_epoch,
    six,
    unpack,
    unpack_tokens,
    without,
    witness,
)
from refcache.core.operations import (
    Claim,
    Claimed,
    ClaimGroup,
    Fill,
    Filled,
    FillItem,
    Grant,
    Mark,
    Release,
    WriteGroup,
    Written,
)

MOST_SCHEMAS = 32  # alive at once; each is a key more for every row that is marked


class Put(NamedTuple):
    """A new content for a key; `raw` None deletes it.

    `keep_ms` None: for ever; 0: for as long as what stood there.
    """

    raw: bytes | None
    keep_ms: int | None = None


Get = Callable[[bytes], bytes | None]
Changes = dict[bytes, Put]


class Rules:
    """The transitions; each method is one guard that a negative control can take out."""

    # Claim

    def claim(self, get: Get, claim: Claim, now: int) -> tuple[Changes, Claimed]:
        changes: Changes = {}
        epochs, replies = [], []
        for group in claim.groups:
            is_new = self.is_new(get, group)
            epoch = self._announced(get, group, claim, now, changes)
            closed = self.is_closed(epoch, group.schema, now)
            epochs.append(_current(get, group.epoch_key, changes))
            replies.append(
                [
                    Grant.REFUSED
                    if closed
                    else self._claim_key(get, key, epoch, is_new, claim, now, changes)
                    for key in group.entry_keys
                ]
            )
        return changes, Claimed(now, epochs, replies)

    def is_new(self, get: Get, group: ClaimGroup) -> bool:
        """Whether the schema was not listed: no write has to have reached what is stored of it."""
        epoch = parse_epoch(group.epoch_key, get(group.epoch_key))
        return epoch is None or epoch.schema(group.schema) is None

    def _announced(
        self, get: Get, group: ClaimGroup, claim: Claim, now: int, changes: Changes
    ) -> Epoch:
        """The epoch with the group's schema in it; made anew where there is none."""
        found = parse_epoch(group.epoch_key, get(group.epoch_key))
        epoch = found or Epoch(claim.fresh_epoch)
        mine = epoch.schema(group.schema)
        if mine is None or mine.until - now < group.keep // 2:
            since = self.opening(epoch, now) if mine is None else mine.since
            others = tuple(s for s in epoch.schemas if s.id != group.schema and s.until > now)
            renewed = Schema(group.schema, since, now + group.keep)
            if len(others) >= MOST_SCHEMAS:  # Their entries must not be met again: a new epoch.
                others, epoch = others[1 - MOST_SCHEMAS :], epoch._replace(id=claim.fresh_epoch)
            epoch = epoch._replace(schemas=(*others, renewed), tokens=live(epoch.tokens, now))
        if epoch != found:
            changes[group.epoch_key] = Put(pack_epoch(group.epoch_key, epoch, now))
        return epoch

    def opening(self, epoch: Epoch, now: int) -> int:
        """From when on a new schema may fill: when the writers that do not know it are over."""
        return max((t.deadline for t in live(epoch.tokens, now)), default=0)

    def is_closed(self, epoch: Epoch, schema: bytes, now: int) -> bool:
        mine = epoch.schema(schema)
        return epoch.is_marked(now) or mine is None or mine.since > now

    def _claim_key(
        self,
        get: Get,
        key: bytes,
        epoch: Epoch,
        is_new: bool,  # noqa: FBT001 - of the group
        claim: Claim,
        now: int,
        changes: Changes,
    ) -> Grant | bytes:
        raw = get(key)
        entry = self.standing(key, raw, epoch, now)
        if entry is None or raw is None or _is_doubtful(claim, key, raw, is_new):
            return self._lease(key, epoch, claim, now, 0, changes)
        if entry.state in (LEASE, TOMBSTONE):
            if entry.state == LEASE and entry.deadline > now:
                return raw
            return self._lease(key, epoch, claim, now, entry.until, changes)
        if entry.state == MARKER or entry.deadline > now:
            return raw
        if entry.until > now and not claim.refresh:
            return raw
        held = claim.token + six(now + claim.lease_ms)
        changes[key] = Put(raw[:4] + held + raw[CHECKED:], 0)
        return Grant.LEASE

    def standing(self, key: bytes, raw: bytes | None, epoch: Epoch, now: int) -> Entry | None:
        """The entry that a claim must respect, or None where the key is free."""
        if raw is None or not is_well_formed(raw):
            return None
        entry = unpack(raw)
        if entry.state in (VALUE, ABSENT):  # Their checksum is the client's business.
            return entry if entry.epoch == epoch.id else None
        if parse(key, raw) is None:
            return None
        if entry.state == MARKER and live(unpack_tokens(entry.body), now):
            return entry
        if entry.state == MARKER:
            entry = entry._replace(state=TOMBSTONE)
        return entry if max(entry.until, entry.deadline) > now else None

    def _lease(
        self, key: bytes, epoch: Epoch, claim: Claim, now: int, tombstone: int, changes: Changes
    ) -> Grant:
        deadline = now + claim.lease_ms
        until = tombstone if tombstone > now else 0
        entry = Entry(LEASE, claim.token, deadline, epoch.id, now, until)
        changes[key] = Put(pack(key, entry), max(deadline, until) - now)
        return Grant.PRIMARY_LEASE if until else Grant.LEASE

    # Fill

    def fill(self, get: Get, fill: Fill, now: int) -> tuple[Changes, Filled]:
        changes: Changes = {}
        stored = [self._fill_item(get, item, fill.token, now, changes) for item in fill.items]
        return changes, Filled(now, stored)

    def _fill_item(
        self, get: Get, item: FillItem, token: bytes, now: int, changes: Changes
    ) -> bool:
        raw = get(item.entry_key)
        entry = unpack(raw) if raw is not None and is_well_formed(raw) else None
        if entry is None or not self.holds_lease(entry, token):
            return False
        if item.raw:
            changes[item.entry_key] = Put(item.raw, item.keep_ms)
        else:
            changes[item.entry_key] = self._given_back(item.entry_key, entry, raw or b"", now)
        return True

    def holds_lease(self, entry: Entry, token: bytes) -> bool:
        return entry.state in (LEASE, VALUE, ABSENT) and entry.token == token

    def _given_back(self, key: bytes, entry: Entry, raw: bytes, now: int) -> Put:
        if entry.state != LEASE:
            return Put(raw[:4] + NO_TOKEN + bytes(6) + raw[CHECKED:], 0)
        return self._tombstone(key, now, entry.until - now)

    def _tombstone(self, key: bytes, now: int, grace_ms: int) -> Put:
        """A tombstone for *grace_ms*, or nothing at all where that is not positive."""
        if grace_ms <= 0:
            return Put(None)
        return Put(pack(key, Entry(TOMBSTONE, at=now, until=now + grace_ms)), grace_ms)

    # Mark

    def mark(self, get: Get, mark: Mark, now: int) -> tuple[Changes, Written]:
        epochs = [parse_epoch(g.epoch_key, get(g.epoch_key)) for g in mark.groups]
        outdated = self.outdated(mark.groups, epochs)
        if outdated is not None:
            return {}, Written(now, outdated)
        changes: Changes = {}
        for group, epoch in zip(mark.groups, epochs, strict=True):
            marked = self._marked_epoch(epoch or Epoch(mark.fresh_epoch), group, mark, now)
            changes[group.epoch_key] = Put(pack_epoch(group.epoch_key, marked, now))
            for key in group.entry_keys:
                changes[key] = self._marked_key(get, key, group, mark, now)
        return changes, Written(now)

    def outdated(
        self, groups: Sequence[WriteGroup], epochs: list[Epoch | None]
    ) -> list[tuple[bytes, ...]] | None:
        """The live schemas per group, where a group was given other ones; else None."""
        alive = [tuple(s.id for s in epoch.schemas) if epoch else () for epoch in epochs]
        given = [group.schemas for group in groups]
        return None if alive == given else alive

    def _marked_epoch(self, epoch: Epoch, group: WriteGroup, mark: Mark, now: int) -> Epoch:
        tokens = live(epoch.tokens, now)
        before = {t.kind for t in tokens if t.id == mark.token}
        kind = EPOCH_TOKEN if group.whole or EPOCH_TOKEN in before else ROW_TOKEN
        others = without(tokens, mark.token)
        tokens = (*others, Token(mark.token, now + mark.timeout_ms, kind))
        return epoch._replace(id=mark.fresh_epoch if group.whole else epoch.id, tokens=tokens)

    def _marked_key(self, get: Get, key: bytes, group: WriteGroup, mark: Mark, now: int) -> Put:
        others = self.other_owners(parse(key, get(key)), mark.token, now)
        tokens = (*others, Token(mark.token, now + mark.timeout_ms))
        return _marker(key, tokens, group.grace_ms, now)

    def other_owners(self, entry: Entry | None, token: bytes, now: int) -> tuple[Token, ...]:
        if entry is None or entry.state != MARKER:
            return ()
        return without(live(unpack_tokens(entry.body), now), token)

    # Release

    def release(self, get: Get, release: Release, now: int) -> tuple[Changes, Written]:
        epochs = [parse_epoch(g.epoch_key, get(g.epoch_key)) for g in release.groups]
        known = [g for g, e in zip(release.groups, epochs, strict=True) if e is not None]
        outdated = self.outdated(known, [e for e in epochs if e is not None])
        if outdated is not None:
            fresh = iter(outdated)
            pairs = zip(release.groups, epochs, strict=True)
            return {}, Written(now, [next(fresh) if e else g.schemas for g, e in pairs])
        changes: Changes = {}
        for group, epoch in zip(release.groups, epochs, strict=True):
            if epoch is not None:
                released = self._released_epoch(epoch, group, release, now)
                changes[group.epoch_key] = Put(pack_epoch(group.epoch_key, released, now))
            for key in group.entry_keys:
                changes[key] = self._released_key(get, key, group, release, now)
        return changes, Written(now)

    def _released_epoch(self, epoch: Epoch, group: WriteGroup, release: Release, now: int) -> Epoch:
        tokens = without(live(epoch.tokens, now), release.token)
        schemas = epoch.schemas if tokens else tuple(s._replace(since=0) for s in epoch.schemas)
        epoch_id = release.fresh_epoch if group.whole else epoch.id
        return Epoch(epoch_id, schemas, tokens)

    def _released_key(
        self, get: Get, key: bytes, group: WriteGroup, release: Release, now: int
    ) -> Put:
        others = self.other_owners(parse(key, get(key)), release.token, now)
        if others:
            return _marker(key, others, group.grace_ms, now)
        return self._tombstone(key, now, group.grace_ms)


def _is_doubtful(claim: Claim, key: bytes, raw: bytes, is_new: bool) -> bool:  # noqa: FBT001 - of the group
    """Whether a stored value is to be loaded again, and not served meanwhile."""
    is_seen = claim.witnesses.get(key) == witness(raw)
    return raw[19:20] in (VALUE, ABSENT) and (is_new or is_seen)


def _marker(key: bytes, tokens: tuple[Token, ...], grace_ms: int, now: int) -> Put:
    """A marker of *tokens*.

    Where fills read replicas it lapses to a tombstone: its writer may have committed and died.
    """
    last = max(t.deadline for t in tokens)
    until = last + grace_ms if grace_ms else 0
    entry = Entry(MARKER, at=now, until=until, body=pack_tokens(tokens))
    return Put(pack(key, entry), max(last, until) - now)


def _current(get: Get, key: bytes, changes: Changes) -> bytes:
    return (changes[key].raw if key in changes else get(key)) or b""
