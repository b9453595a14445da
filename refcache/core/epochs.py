"""What each script does to a reference's epoch entry: schemas announced, writers noted.

One half of the rules; rules.py has the other, about the entries of rows.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from refcache.core.entries import (
    EPOCH_TOKEN,
    GRACE_TOKEN,
    NO_TOKEN,
    ROW_TOKEN,
    Epoch,
    Schema,
    Token,
    live,
    pack_epoch,
    parse_epoch,
    without,
    writers,
)
from refcache.core.operations import Claim, ClaimGroup, Mark, Release, WriteGroup

MOST_SCHEMAS = 32  # alive at once; each is a key more for every row that is marked


class Put(NamedTuple):
    """A new content for a key; `raw` None deletes it.

    `keep_ms` None: for ever; 0: for as long as what stood there.
    """

    raw: bytes | None
    keep_ms: int | None = None


Get = Callable[[bytes], bytes | None]
Changes = dict[bytes, Put]


class EpochRules:
    """The transitions of epoch entries.

    Args:
        incarnation: Of the server: what another one made, or this one before it was restarted,
            counts as nothing. 0: it is not known.
    """

    def __init__(self, incarnation: int = 0) -> None:
        self.incarnation = incarnation

    def epoch(self, get: Get, key: bytes) -> Epoch | None:
        found = parse_epoch(key, get(key))
        return found if found is not None and self.is_ours(found) else None

    def is_ours(self, epoch: Epoch) -> bool:
        return self.incarnation in (0, epoch.incarnation)

    def is_new(self, get: Get, group: ClaimGroup) -> bool:
        """Whether the schema was not listed: no write has to have reached what is stored of it."""
        epoch = self.epoch(get, group.epoch_key)
        return epoch is None or epoch.schema(group.schema) is None

    def announced(
        self, get: Get, group: ClaimGroup, claim: Claim, now: int, changes: Changes
    ) -> Epoch:
        """The epoch with the group's schema in it; made anew where there is none."""
        found = self.epoch(get, group.epoch_key)
        epoch = found or self.made(claim.fresh_epoch)
        mine = epoch.schema(group.schema)
        if mine is None or mine.until - now < group.keep // 2:
            since = self.opening(epoch, now) if mine is None else mine.since
            others = tuple(s for s in epoch.schemas if s.id != group.schema and s.until > now)
            renewed = Schema(group.schema, since, now + group.keep)
            if len(others) >= MOST_SCHEMAS:  # Their entries must not be met again: a new epoch.
                others, epoch = others[1 - MOST_SCHEMAS :], epoch._replace(id=claim.fresh_epoch)
            tokens = live(epoch.tokens, now)
            if mine is None:  # Under this schema no tombstones tell of what was just written.
                tokens = self.graced(tokens, NO_TOKEN, now, group.grace_ms)
            epoch = epoch._replace(schemas=(*others, renewed), tokens=tokens)
        if epoch != found:
            changes[group.epoch_key] = Put(pack_epoch(group.epoch_key, epoch, now))
        return epoch

    def opening(self, epoch: Epoch, now: int) -> int:
        """From when on a new schema may fill: when the writers that do not know it are over."""
        return max((t.deadline for t in writers(live(epoch.tokens, now))), default=0)

    def is_closed(self, epoch: Epoch, schema: bytes, now: int) -> bool:
        mine = epoch.schema(schema)
        return epoch.is_marked(now) or mine is None or mine.since > now

    def outdated(
        self, groups: Sequence[WriteGroup], epochs: Iterable[Epoch | None]
    ) -> list[tuple[bytes, ...]] | None:
        """The live schemas per group, where a group was given other ones; else None."""
        alive = [tuple(s.id for s in epoch.schemas) if epoch else () for epoch in epochs]
        given = [group.schemas for group in groups]
        return None if alive == given else alive

    def made(self, fresh_epoch: bytes) -> Epoch:
        return Epoch(fresh_epoch, incarnation=self.incarnation)

    def marked_epoch(self, epoch: Epoch, group: WriteGroup, mark: Mark, now: int) -> Epoch:
        tokens = live(epoch.tokens, now)
        before = {t.kind for t in tokens if t.id == mark.token}
        kind = EPOCH_TOKEN if group.whole or EPOCH_TOKEN in before else ROW_TOKEN
        deadline = now + mark.timeout_ms
        tokens = (*without(tokens, mark.token), Token(mark.token, deadline, kind))
        if kind == EPOCH_TOKEN:  # Its writer may commit and die.
            tokens = self.graced(tokens, mark.token, deadline, group.grace_ms)
        return epoch._replace(id=mark.fresh_epoch if group.whole else epoch.id, tokens=tokens)

    def released_epoch(self, epoch: Epoch, group: WriteGroup, release: Release, now: int) -> Epoch:
        tokens = without(live(epoch.tokens, now), release.token)
        is_quiet = not writers(tokens)
        schemas = tuple(s._replace(since=0) for s in epoch.schemas) if is_quiet else epoch.schemas
        if group.whole:
            tokens = self.graced(tokens, release.token, now, group.grace_ms)
        epoch_id = release.fresh_epoch if group.whole else epoch.id
        return epoch._replace(id=epoch_id, schemas=schemas, tokens=tokens)

    def graced(
        self, tokens: tuple[Token, ...], token: bytes, since: int, grace_ms: int
    ) -> tuple[Token, ...]:
        """Where fills read replicas: with what keeps them from it until *grace_ms* after."""
        if not grace_ms:
            return tokens
        kept = tuple(t for t in tokens if t.id != token or t.kind != GRACE_TOKEN)
        return (*kept, Token(token, since + grace_ms, GRACE_TOKEN))
