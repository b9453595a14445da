"""What each script does to the entries: the protocol's transitions as pure functions.

The in-memory store runs them as they are, the exhaustive model searches them, and the Lua
scripts say the same to Redis; a differential test holds the two together, byte for byte.
"""

from dataclasses import dataclass

from refcache.core.entries import (
    ABSENT,
    CHECKED,
    LEASE,
    MARKER,
    NO_TOKEN,
    TOMBSTONE,
    VALUE,
    Entry,
    Epoch,
    Token,
    is_well_formed,
    live,
    pack,
    pack_epoch,
    pack_tokens,
    parse,
    six,
    unpack,
    unpack_tokens,
    without,
    witness,
)
from refcache.core.epochs import Changes, EpochRules, Get, Put
from refcache.core.operations import (
    Claim,
    Claimed,
    Fill,
    Filled,
    FillItem,
    Grant,
    Mark,
    Release,
    WriteGroup,
    Written,
)


@dataclass(frozen=True, slots=True)
class Claiming:
    """What is claimed of one group, and when (ms).

    `is_new`: the schema was not listed.
    """

    claim: Claim
    epoch: Epoch
    is_new: bool
    grace_ms: int
    now: int


class Rules(EpochRules):
    """The transitions; each method is one guard that a negative control can take out."""

    # Claim

    def claim(self, get: Get, claim: Claim, now: int) -> tuple[Changes, Claimed]:
        changes: Changes = {}
        epochs, replies = [], []
        for group in claim.groups:
            is_new = self.is_new(get, group)
            epoch = self.announced(get, group, claim, now, changes)
            closed = self.is_closed(epoch, group.schema, now)
            epochs.append(_current(get, group.epoch_key, changes))
            claiming = Claiming(claim, epoch, is_new, group.grace_ms, now)
            replies.append(
                [
                    Grant.REFUSED if closed else self._claim_key(get, key, claiming, changes)
                    for key in group.entry_keys
                ]
            )
        return changes, Claimed(now, epochs, replies)

    def _claim_key(
        self, get: Get, key: bytes, claiming: Claiming, changes: Changes
    ) -> Grant | bytes:
        claim, now = claiming.claim, claiming.now
        raw = get(key)
        entry = self.standing(key, raw, claiming.epoch, now)
        if entry is None or raw is None:
            return self._lease(key, claiming, 0, changes)
        if entry.state in (LEASE, TOMBSTONE):
            if entry.state == LEASE and entry.deadline > now:
                return raw
            return self._lease(key, claiming, entry.until, changes)
        if entry.state != MARKER and _is_doubtful(claiming, key, raw):
            return self._lease(key, claiming, self.settled(entry, claiming), changes)
        is_fresh = entry.until > now and not claim.refresh
        if entry.state == MARKER or entry.deadline > now or is_fresh:
            return raw
        held = claim.token + six(now + claim.lease_ms)
        changes[key] = Put(raw[:4] + held + raw[CHECKED:], 0)
        return self._grant(claiming, self.settled(entry, claiming))

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

    def settled(self, entry: Entry, claiming: Claiming) -> int:
        """When a replica has what a value was loaded from: the last write came before it."""
        return entry.at + claiming.grace_ms if claiming.grace_ms else 0

    def _lease(self, key: bytes, claiming: Claiming, tombstone: int, changes: Changes) -> Grant:
        claim, now = claiming.claim, claiming.now
        deadline = now + claim.lease_ms
        until = tombstone if tombstone > now else 0
        entry = Entry(LEASE, claim.token, deadline, claiming.epoch.id, now, until)
        changes[key] = Put(pack(key, entry), max(deadline, until) - now)
        return self._grant(claiming, until)

    def _grant(self, claiming: Claiming, tombstone: int) -> Grant:
        is_just_written = tombstone > claiming.now or claiming.epoch.reads_primary(claiming.now)
        return Grant.PRIMARY_LEASE if is_just_written else Grant.LEASE

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
        epochs = [self.epoch(get, g.epoch_key) for g in mark.groups]
        outdated = self.outdated(mark.groups, epochs)
        if outdated is not None:
            return {}, Written(now, outdated)
        changes: Changes = {}
        for group, epoch in zip(mark.groups, epochs, strict=True):
            marked = self.marked_epoch(epoch or self.made(mark.fresh_epoch), group, mark, now)
            changes[group.epoch_key] = Put(pack_epoch(group.epoch_key, marked, now))
            for key in group.entry_keys:
                changes[key] = self._marked_key(get, key, group, mark, now)
        return changes, Written(now)

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
        epochs = [self.epoch(get, g.epoch_key) for g in release.groups]
        known = [g for g, e in zip(release.groups, epochs, strict=True) if e is not None]
        outdated = self.outdated(known, [e for e in epochs if e is not None])
        if outdated is not None:
            fresh = iter(outdated)
            pairs = zip(release.groups, epochs, strict=True)
            return {}, Written(now, [next(fresh) if e else g.schemas for g, e in pairs])
        changes: Changes = {}
        for group, epoch in zip(release.groups, epochs, strict=True):
            if epoch is not None:
                released = self.released_epoch(epoch, group, release, now)
                changes[group.epoch_key] = Put(pack_epoch(group.epoch_key, released, now))
            for key in group.entry_keys:
                changes[key] = self._released_key(get, key, group, release, now)
        return changes, Written(now)

    def _released_key(
        self, get: Get, key: bytes, group: WriteGroup, release: Release, now: int
    ) -> Put:
        others = self.other_owners(parse(key, get(key)), release.token, now)
        if others:
            return _marker(key, others, group.grace_ms, now)
        return self._tombstone(key, now, group.grace_ms)


def _is_doubtful(claiming: Claiming, key: bytes, raw: bytes) -> bool:
    """Whether a stored value is to be loaded again, and not served meanwhile."""
    return claiming.is_new or claiming.claim.witnesses.get(key) == witness(raw)


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
