"""What every store does for writers, whatever keeps its entries."""

from refcache.core import entries
from refcache.core.entries import Entry, Token
from refcache.core.operations import (
    Grant,
    Mark,
    Release,
    WriteGroup,
)
from tests.contract.calls import (
    EPOCH,
    GRACE_MS,
    MINE,
    ONE,
    OTHER_SCHEMA,
    SCHEMA,
    TIMEOUT_MS,
    TWO,
    YOURS,
    claim,
    fill,
    filled,
    group,
    leased,
    mark,
    release,
    state,
    value,
)
from tests.contract.subjects import Subject


def test_a_mark_with_an_outdated_list_changes_nothing(subject: Subject) -> None:
    leased(subject, ONE)
    before = subject.get(EPOCH), subject.get(ONE)

    written = subject.perform(
        Mark([WriteGroup(EPOCH, (OTHER_SCHEMA,), [ONE])], YOURS, b"epoch marked", TIMEOUT_MS)
    )

    assert [tuple(each) for each in written.outdated] == [(SCHEMA,)]
    assert (subject.get(EPOCH), subject.get(ONE)) == before


def test_a_release_with_an_outdated_list_changes_nothing(subject: Subject) -> None:
    leased(subject, ONE)
    before = subject.get(EPOCH), subject.get(ONE)

    written = subject.perform(Release([WriteGroup(EPOCH, (), [ONE])], YOURS, b"epoch freed."))

    assert [tuple(each) for each in written.outdated] == [(SCHEMA,)]
    assert (subject.get(EPOCH), subject.get(ONE)) == before


def test_a_mark_of_a_reference_that_nobody_reads_makes_its_epoch(subject: Subject) -> None:
    written = subject.perform(Mark([WriteGroup(EPOCH, (), [])], MINE, b"epoch marked", TIMEOUT_MS))

    assert written.outdated is None
    assert entries.parse_epoch(EPOCH, subject.get(EPOCH)) is not None


def test_a_mark_refuses_the_fill_under_way(subject: Subject) -> None:
    leased(subject, ONE)
    raw = value(subject, ONE)

    assert mark(subject, group(ONE), YOURS).outdated is None
    assert not fill(subject, ONE, raw)


def test_a_marker_is_given_to_the_claimer(subject: Subject) -> None:
    filled(subject, ONE)
    mark(subject, group(ONE))

    assert leased(subject, ONE) == [subject.get(ONE)]
    assert state(subject, ONE) == entries.MARKER


def test_the_last_writer_out_deletes_the_entry(subject: Subject) -> None:
    claim(subject)
    mark(subject, group(ONE))
    mark(subject, group(ONE), YOURS)

    release(subject, group(ONE))
    assert state(subject, ONE) == entries.MARKER
    release(subject, group(ONE), YOURS)
    assert subject.get(ONE) is None


def test_a_release_without_a_mark_drops_the_value(subject: Subject) -> None:
    filled(subject, ONE)

    release(subject, group(ONE), YOURS)

    assert subject.get(ONE) is None


def test_a_released_row_of_replicas_is_a_tombstone(subject: Subject) -> None:
    claim(subject)
    mark(subject, group(ONE, grace_ms=GRACE_MS))

    release(subject, group(ONE, grace_ms=GRACE_MS))

    assert state(subject, ONE) == entries.TOMBSTONE
    assert 0 < (subject.ttl_ms(ONE) or 0) <= GRACE_MS
    assert leased(subject, ONE) == [Grant.PRIMARY_LEASE]


def test_a_lease_over_a_tombstone_is_given_back_as_one(subject: Subject) -> None:
    claim(subject)
    release(subject, group(ONE, grace_ms=GRACE_MS))
    leased(subject, ONE)

    assert fill(subject, ONE, b"")
    assert state(subject, ONE) == entries.TOMBSTONE


def test_a_marked_epoch_refuses_claims(subject: Subject) -> None:
    claim(subject)
    mark(subject, group(whole=True))

    assert leased(subject, ONE, TWO) == [Grant.REFUSED] * 2


def test_a_released_epoch_is_a_new_one(subject: Subject) -> None:
    raw = filled(subject, ONE)
    mark(subject, group(whole=True))

    release(subject, group(whole=True))

    assert leased(subject, ONE) == [Grant.LEASE]
    assert subject.get(ONE) != raw


def test_a_schema_that_is_announced_during_a_write_is_refused(subject: Subject) -> None:
    subject.perform(Mark([WriteGroup(EPOCH, (), [])], YOURS, b"epoch marked", TIMEOUT_MS))

    assert leased(subject, ONE) == [Grant.REFUSED]
    release(subject, group(ONE), YOURS)
    assert leased(subject, ONE) == [Grant.LEASE]


def test_a_thousand_writers_may_be_under_way(subject: Subject) -> None:
    """Of one row, and so of its reference."""
    now = claim(subject).now
    tokens = tuple(Token(b"%8d" % number, now + TIMEOUT_MS) for number in range(1_000))
    epoch = entries.parse_epoch(EPOCH, subject.get(EPOCH))
    assert epoch is not None
    subject.put(EPOCH, entries.pack_epoch(EPOCH, epoch._replace(tokens=tokens), now))
    subject.put(ONE, entries.pack(ONE, Entry(entries.MARKER, body=entries.pack_tokens(tokens))))

    mark(subject, group(ONE))
    release(subject, group(ONE))

    assert leased(subject, ONE) == [subject.get(ONE)]
    assert state(subject, ONE) == entries.MARKER


def test_a_long_entry_of_somebody_else_is_leased(subject: Subject) -> None:
    head = bytes(18) + b"\x01" + entries.LEASE
    subject.put(ONE, head + bytes(100_000))

    assert leased(subject, ONE) == [Grant.LEASE]
