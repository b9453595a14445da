"""Rules with one guard taken out each."""

from collections.abc import Iterable, Sequence

from refcache.core.entries import (
    EPOCH_TOKEN,
    LEASE,
    MARKER,
    NO_TOKEN,
    ROW_TOKEN,
    VALUE,
    Entry,
    Epoch,
    Token,
    pack,
    pack_epoch,
    parse_epoch,
    unpack,
)
from refcache.core.epochs import Changes, Get, Put
from refcache.core.operations import (
    Claim,
    ClaimGroup,
    FillItem,
    Grant,
    Mark,
    Release,
    WriteGroup,
    Written,
)
from refcache.core.rules import Claiming, Rules
from tests.simulation.rows import FAMILY


class FillNeedsNoToken(Rules):
    def holds_lease(self, entry: Entry, token: bytes) -> bool:
        return super().holds_lease(entry, token) or entry.state in (LEASE, VALUE)


class FillTakesEmptyKeys(Rules):
    def _fill_item(
        self, get: Get, item: FillItem, token: bytes, now: int, changes: Changes
    ) -> bool:
        if item.raw and get(item.entry_key) is None:
            changes[item.entry_key] = Put(item.raw, item.keep_ms)
            return True
        return super()._fill_item(get, item, token, now, changes)


class FillTakesMarkers(Rules):
    def holds_lease(self, entry: Entry, token: bytes) -> bool:
        return super().holds_lease(entry, token) or entry.state == MARKER


class FillBearsTheLatestEpoch(Rules):
    def _fill_item(
        self, get: Get, item: FillItem, token: bytes, now: int, changes: Changes
    ) -> bool:
        epoch = parse_epoch(FAMILY.epoch_key, get(FAMILY.epoch_key))
        if item.raw and epoch is not None:
            entry = unpack(item.raw)._replace(epoch=epoch.id)
            item = item._replace(raw=pack(item.entry_key, entry))
        return super()._fill_item(get, item, token, now, changes)


class MarkSparesLeases(Rules):
    def _marked_key(self, get: Get, key: bytes, group: WriteGroup, mark: Mark, now: int) -> Put:
        raw = get(key)
        if raw is not None and unpack(raw).state == LEASE:
            return Put(raw, 0)
        return super()._marked_key(get, key, group, mark, now)


class MarkSparesValues(Rules):
    def _marked_key(self, get: Get, key: bytes, group: WriteGroup, mark: Mark, now: int) -> Put:
        raw = get(key)
        if raw is not None and unpack(raw).state == VALUE:
            return Put(raw, 0)
        return super()._marked_key(get, key, group, mark, now)


class ClaimIgnoresMarkers(Rules):
    def standing(self, key: bytes, raw: bytes | None, epoch: Epoch, now: int) -> Entry | None:
        entry = super().standing(key, raw, epoch, now)
        return None if entry is not None and entry.state == MARKER else entry


class ClaimIgnoresLeases(Rules):
    def standing(self, key: bytes, raw: bytes | None, epoch: Epoch, now: int) -> Entry | None:
        entry = super().standing(key, raw, epoch, now)
        return None if entry is not None and entry.state == LEASE else entry


class MarkerHasOneOwner(Rules):
    def other_owners(self, entry: Entry | None, token: bytes, now: int) -> tuple[Token, ...]:
        del entry, token, now
        return ()


class MarkDropsOtherOwners(Rules):
    def _marked_key(self, get: Get, key: bytes, group: WriteGroup, mark: Mark, now: int) -> Put:
        del get
        return super()._marked_key(lambda _: None, key, group, mark, now)


class ReleaseDropsOtherOwners(Rules):
    def _released_key(
        self, get: Get, key: bytes, group: WriteGroup, release: Release, now: int
    ) -> Put:
        del get
        return super()._released_key(lambda _: None, key, group, release, now)


class ReleaseNeedsItsMarker(Rules):
    def _released_key(
        self, get: Get, key: bytes, group: WriteGroup, release: Release, now: int
    ) -> Put:
        raw = get(key)
        if raw is not None and unpack(raw).state != MARKER:
            return Put(raw, 0)
        return super()._released_key(get, key, group, release, now)


class EpochMarkKeepsTheEpoch(Rules):
    def marked_epoch(self, epoch: Epoch, group: WriteGroup, mark: Mark, now: int) -> Epoch:
        return super().marked_epoch(epoch, group, mark, now)._replace(id=epoch.id)


class EpochReleaseKeepsTheEpoch(Rules):
    def released_epoch(self, epoch: Epoch, group: WriteGroup, release: Release, now: int) -> Epoch:
        return super().released_epoch(epoch, group, release, now)._replace(id=epoch.id)


class MarkedEpochIsOpen(Rules):
    def is_closed(self, epoch: Epoch, schema: bytes, now: int) -> bool:
        rows_only = tuple(t._replace(kind=ROW_TOKEN) for t in epoch.tokens)
        return super().is_closed(epoch._replace(tokens=rows_only), schema, now)


class EpochHasOneOwner(Rules):
    def marked_epoch(self, epoch: Epoch, group: WriteGroup, mark: Mark, now: int) -> Epoch:
        return super().marked_epoch(epoch._replace(tokens=()), group, mark, now)


class RowMarkOverwritesEpochMark(Rules):
    def marked_epoch(self, epoch: Epoch, group: WriteGroup, mark: Mark, now: int) -> Epoch:
        others = tuple(t for t in epoch.tokens if t.id != mark.token)
        return super().marked_epoch(epoch._replace(tokens=others), group, mark, now)


class RowMarkIsNotInTheEpoch(Rules):
    def marked_epoch(self, epoch: Epoch, group: WriteGroup, mark: Mark, now: int) -> Epoch:
        marked = super().marked_epoch(epoch, group, mark, now)
        return marked._replace(tokens=tuple(t for t in marked.tokens if t.kind == EPOCH_TOKEN))


class NewSchemaOpensAtOnce(Rules):
    def opening(self, epoch: Epoch, now: int) -> int:
        del epoch, now
        return 0


class YoungSchemaMayFill(Rules):
    def is_closed(self, epoch: Epoch, schema: bytes, now: int) -> bool:
        aged = tuple(s._replace(since=0) for s in epoch.schemas)
        return super().is_closed(epoch._replace(schemas=aged), schema, now)


class FirstReleaseOpensSchemas(Rules):
    def released_epoch(self, epoch: Epoch, group: WriteGroup, release: Release, now: int) -> Epoch:
        released = super().released_epoch(epoch, group, release, now)
        return released._replace(schemas=tuple(s._replace(since=0) for s in released.schemas))


class SchemasAreNotAnnounced(Rules):
    def announced(
        self, get: Get, group: ClaimGroup, claim: Claim, now: int, changes: Changes
    ) -> Epoch:
        epoch = super().announced(get, group, claim, now, changes)
        bare = epoch._replace(schemas=())
        changes[group.epoch_key] = Put(pack_epoch(group.epoch_key, bare, now))
        return epoch


class NewSchemaTrustsWhatStandsThere(Rules):
    def is_new(self, get: Get, group: ClaimGroup) -> bool:
        del get, group
        return False


class MarkTakesOutdatedSchemas(Rules):
    def mark(self, get: Get, mark: Mark, now: int) -> tuple[Changes, Written]:
        return _Undemanding().mark(get, mark, now)


class ReleaseTakesOutdatedSchemas(Rules):
    def release(self, get: Get, release: Release, now: int) -> tuple[Changes, Written]:
        return _Undemanding().release(get, release, now)


class _Undemanding(Rules):
    def outdated(
        self, groups: Sequence[WriteGroup], epochs: Iterable[Epoch | None]
    ) -> list[tuple[bytes, ...]] | None:
        del groups, epochs
        return None


class TombstoneGivesAnyLease(Rules):
    def _grant(self, claiming: Claiming, tombstone: int) -> Grant:
        del claiming, tombstone
        return Grant.LEASE


class LeaseForgetsTombstone(Rules):
    def _lease(self, key: bytes, claiming: Claiming, tombstone: int, changes: Changes) -> Grant:
        super()._lease(key, claiming, 0, changes)
        return self._grant(claiming, tombstone)


class ReleaseLeavesNoTombstone(Rules):
    def _released_key(
        self, get: Get, key: bytes, group: WriteGroup, release: Release, now: int
    ) -> Put:
        return super()._released_key(get, key, group._replace(grace_ms=0), release, now)


class MarkerLeavesNoTombstone(Rules):
    def _marked_key(self, get: Get, key: bytes, group: WriteGroup, mark: Mark, now: int) -> Put:
        return super()._marked_key(get, key, group._replace(grace_ms=0), mark, now)


class GivenBackLeaseForgetsTombstone(Rules):
    def _given_back(self, key: bytes, entry: Entry, raw: bytes, now: int) -> Put:
        return super()._given_back(key, entry._replace(until=0), raw, now)


class ExpiredMarkerIsNoTombstone(Rules):
    def standing(self, key: bytes, raw: bytes | None, epoch: Epoch, now: int) -> Entry | None:
        entry = super().standing(key, raw, epoch, now)
        was_marker = raw is not None and unpack(raw).state == MARKER
        return None if was_marker and entry is not None and entry.state != MARKER else entry


class AnyIncarnationIsOurs(Rules):
    def is_ours(self, epoch: Epoch) -> bool:
        del epoch
        return True


class NewSchemaReadsReplicas(Rules):
    def graced(
        self, tokens: tuple[Token, ...], token: bytes, since: int, grace_ms: int
    ) -> tuple[Token, ...]:
        return super().graced(tokens, token, since, grace_ms if token != NO_TOKEN else 0)


class EpochReleaseLeavesNoGrace(Rules):
    def released_epoch(self, epoch: Epoch, group: WriteGroup, release: Release, now: int) -> Epoch:
        return super().released_epoch(epoch, group._replace(grace_ms=0), release, now)


class EpochMarkLeavesNoGrace(Rules):
    def marked_epoch(self, epoch: Epoch, group: WriteGroup, mark: Mark, now: int) -> Epoch:
        return super().marked_epoch(epoch, group._replace(grace_ms=0), mark, now)


class ValuesAreSettled(Rules):
    def settled(self, entry: Entry, claiming: Claiming) -> int:
        del entry, claiming
        return 0
