"""Long entries: hundreds of writers at once, dozens of schemas, and foreign bytes that look so."""

from refcache.core import entries
from refcache.core.entries import Entry, Epoch, Schema, Token
from refcache.core.epochs import MOST_SCHEMAS
from refcache.core.operations import Claim, ClaimGroup, Grant, Mark, Read, WriteGroup
from tests.contract.calls import (
    EPOCH,
    KEEP_MS,
    LEASE_MS,
    MINE,
    ONE,
    SCHEMA,
    TIMEOUT_MS,
    TWO,
    group,
    leased,
    mark,
    release,
    state,
)
from tests.contract.subjects import Subject

WRITERS = 600  # their tokens are 9,000 bytes; Lua 5.1 returns no more than 8,000 values at once
FOREIGN = bytes(18) + b"\x01L" + bytes(9_000)


def owners(subject: Subject) -> tuple[Token, ...]:
    end = subject.perform(Read([ONE])).now + TIMEOUT_MS
    return tuple(Token(b"%08d" % number, end) for number in range(WRITERS))


def put_epoch(subject: Subject, tokens: tuple[Token, ...]) -> None:
    """The epoch of a reference that all of *tokens* write to."""
    now = subject.perform(Read([ONE])).now
    epoch = Epoch(b"the epoch...", (Schema(SCHEMA, 0, now + KEEP_MS),), tokens, subject.incarnation)
    subject.put(EPOCH, entries.pack_epoch(EPOCH, epoch, now))


def epoch_of(subject: Subject) -> Epoch:
    epoch = entries.parse_epoch(EPOCH, subject.get(EPOCH))
    assert epoch is not None
    return epoch


def test_an_epoch_with_hundreds_of_writers_takes_one_more(subject: Subject) -> None:
    put_epoch(subject, tokens := owners(subject))

    written = mark(subject, group(ONE))

    assert written.outdated is None
    assert epoch_of(subject).tokens[:-1] == tokens
    assert epoch_of(subject).tokens[-1].id == MINE
    assert state(subject, ONE) == entries.MARKER


def test_an_epoch_with_hundreds_of_writers_lets_one_go(subject: Subject) -> None:
    put_epoch(subject, tokens := owners(subject))
    mark(subject, group(ONE))

    release(subject, group(ONE))

    assert epoch_of(subject).tokens == tokens
    assert subject.get(ONE) is None


def test_a_marker_of_hundreds_of_writers_keeps_the_others(subject: Subject) -> None:
    put_epoch(subject, ())
    subject.put(ONE, entries.pack(ONE, Entry(b"M", body=entries.pack_tokens(owners(subject)))))

    mark(subject, group(ONE))
    release(subject, group(ONE))

    entry = entries.parse(ONE, subject.get(ONE))
    assert entry is not None
    assert [each.id for each in entries.unpack_tokens(entry.body)] == [
        each.id for each in owners(subject)
    ]


def test_long_foreign_bytes_do_not_fail_the_claim_of_the_other_keys(subject: Subject) -> None:
    subject.put(ONE, FOREIGN)

    assert leased(subject, ONE, TWO) == [Grant.LEASE, Grant.LEASE]


def test_long_foreign_bytes_are_replaced_by_a_marker(subject: Subject) -> None:
    put_epoch(subject, ())
    subject.put(ONE, FOREIGN)

    mark(subject, group(ONE, TWO))

    assert state(subject, ONE) == state(subject, TWO) == entries.MARKER


def test_what_is_longer_than_any_of_our_entries_is_none(subject: Subject) -> None:
    """Whatever its checksum says: to hash megabytes would hold up all of Redis's clients."""
    now = subject.perform(Read([ONE])).now
    entry = Entry(entries.LEASE, deadline=now + LEASE_MS, body=bytes(entries.LONGEST))
    subject.put(ONE, entries.pack(ONE, entry))

    assert leased(subject, ONE) == [Grant.LEASE]


# Schemas


def announce(subject: Subject, number: int) -> None:
    claim = Claim(
        [ClaimGroup(EPOCH, b"schema %05d" % number, [], KEEP_MS)],
        MINE,
        b"epoch  %05d" % number,
        LEASE_MS,
        {},
    )
    subject.perform(claim)


def test_the_schemas_that_fit_share_their_epoch(subject: Subject) -> None:
    for number in range(MOST_SCHEMAS):
        announce(subject, number)

    epoch = epoch_of(subject)
    assert epoch.id == b"epoch  00000"
    assert [each.id for each in epoch.schemas] == [
        b"schema %05d" % number for number in range(MOST_SCHEMAS)
    ]


def test_one_schema_too_many_drops_the_oldest_with_a_new_epoch(subject: Subject) -> None:
    for number in range(MOST_SCHEMAS + 1):
        announce(subject, number)

    epoch = epoch_of(subject)
    assert epoch.id == b"epoch  %05d" % MOST_SCHEMAS
    assert [each.id for each in epoch.schemas] == [
        b"schema %05d" % number for number in range(1, MOST_SCHEMAS + 1)
    ]


def test_dropping_a_schema_keeps_the_writers(subject: Subject) -> None:
    for number in range(MOST_SCHEMAS):
        announce(subject, number)
    alive = tuple(each.id for each in epoch_of(subject).schemas)
    touched = WriteGroup(EPOCH, alive, [ONE])
    subject.perform(Mark([touched], MINE, b"epoch marked", TIMEOUT_MS))

    announce(subject, MOST_SCHEMAS)

    assert [each.id for each in epoch_of(subject).tokens] == [MINE]
