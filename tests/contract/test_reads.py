"""What every store does for readers, whatever keeps its entries."""

from refcache.core import entries
from refcache.core.entries import witness
from refcache.core.operations import (
    Claim,
    ClaimGroup,
    Grant,
    Read,
)
from tests.contract.calls import (
    EPOCH,
    KEEP_MS,
    LEASE_MS,
    MINE,
    ONE,
    OTHER_SCHEMA,
    SCHEMA,
    TWO,
    YOURS,
    claim,
    fill,
    filled,
    leased,
    state,
    value,
)
from tests.contract.subjects import Subject


def test_an_unknown_key_reads_as_nothing(subject: Subject) -> None:
    assert list(subject.perform(Read([ONE, TWO])).raws) == [None, None]


def test_entries_are_read_in_the_order_asked_for(subject: Subject) -> None:
    subject.put(ONE, b"1")
    subject.put(TWO, b"2")

    assert list(subject.perform(Read([TWO, EPOCH, ONE])).raws) == [b"2", None, b"1"]


def test_a_thousand_keys_are_read_at_once(subject: Subject) -> None:
    subject.put(b"k999", b"last")

    assert subject.perform(Read([b"k%d" % i for i in range(1000)])).raws[999] == b"last"


def test_a_read_is_not_behind_the_claim_before_it(subject: Subject) -> None:
    claimed = claim(subject, ONE).now

    assert subject.perform(Read([ONE])).now >= claimed


def test_a_claim_announces_its_schema(subject: Subject) -> None:
    claimed = claim(subject)

    epoch = entries.parse_epoch(EPOCH, claimed.epochs[0])
    assert epoch is not None
    assert [schema.id for schema in epoch.schemas] == [SCHEMA]
    assert subject.get(EPOCH) == claimed.epochs[0]


def test_the_epoch_stays_for_ever(subject: Subject) -> None:
    claim(subject)

    assert subject.ttl_ms(EPOCH) is None


def test_a_free_key_is_leased(subject: Subject) -> None:
    assert leased(subject, ONE) == [Grant.LEASE]
    assert 0 < (subject.ttl_ms(ONE) or 0) <= LEASE_MS


def test_overlapping_claims_get_disjoint_leases(subject: Subject) -> None:
    leased(subject, ONE)

    replies = leased(subject, ONE, TWO, token=YOURS)

    assert replies == [subject.get(ONE), Grant.LEASE]


def test_several_references_are_claimed_at_once(subject: Subject) -> None:
    groups = [
        ClaimGroup(EPOCH, SCHEMA, [ONE, TWO], KEEP_MS),
        ClaimGroup(b"d:epoch", OTHER_SCHEMA, [b"d:1"], KEEP_MS),
    ]

    claimed = subject.perform(Claim(groups, MINE, b"fresh epoch.", LEASE_MS, {}))

    assert [list(each) for each in claimed.replies] == [[Grant.LEASE] * 2, [Grant.LEASE]]
    assert list(claimed.epochs) == [subject.get(EPOCH), subject.get(b"d:epoch")]


def test_a_fresh_value_is_given_to_the_claimer(subject: Subject) -> None:
    raw = filled(subject, ONE)

    assert leased(subject, ONE, token=YOURS) == [raw]


def test_a_stale_value_is_leased_and_stays(subject: Subject) -> None:
    raw = filled(subject, ONE, fresh_ms=-1_000)

    assert leased(subject, ONE, token=YOURS) == [Grant.LEASE]
    assert (subject.get(ONE) or b"")[entries.CHECKED :] == raw[entries.CHECKED :]


def test_a_refresh_leases_a_fresh_value_once(subject: Subject) -> None:
    filled(subject, ONE)

    first = claim(subject, ONE, refresh=True).replies[0][0]
    second = claim(subject, ONE, token=YOURS, refresh=True).replies[0][0]

    assert first is Grant.LEASE
    assert second == subject.get(ONE)


def test_a_distrusted_value_is_leased(subject: Subject) -> None:
    raw = filled(subject, ONE)

    replies = claim(subject, ONE, token=YOURS, witnesses={ONE: witness(raw)}).replies

    assert list(replies[0]) == [Grant.LEASE]
    assert state(subject, ONE) == entries.LEASE


def test_a_value_other_than_the_distrusted_one_is_respected(subject: Subject) -> None:
    raw = filled(subject, ONE)

    replies = claim(subject, ONE, token=YOURS, witnesses={ONE: witness(raw[:-1])}).replies

    assert list(replies[0]) == [raw]


def test_garbage_is_leased(subject: Subject) -> None:
    subject.put(ONE, b"somebody else's")

    assert leased(subject, ONE) == [Grant.LEASE]


# Fill


def test_a_fill_under_its_lease_is_stored(subject: Subject) -> None:
    raw = filled(subject, ONE)

    assert subject.get(ONE) == raw
    assert 0 < (subject.ttl_ms(ONE) or 0) <= 60_000


def test_a_fill_under_another_lease_is_refused(subject: Subject) -> None:
    leased(subject, ONE)

    assert not fill(subject, ONE, value(subject, ONE), token=YOURS)
    assert state(subject, ONE) == entries.LEASE


def test_a_fill_without_an_entry_is_refused(subject: Subject) -> None:
    leased(subject, TWO)

    assert not fill(subject, ONE, value(subject, ONE))
    assert subject.get(ONE) is None


def test_a_lease_that_is_given_back_is_free(subject: Subject) -> None:
    leased(subject, ONE)

    assert fill(subject, ONE, b"")
    assert subject.get(ONE) is None


def test_a_refresh_that_is_given_back_leaves_the_value(subject: Subject) -> None:
    raw = filled(subject, ONE)
    claim(subject, ONE, refresh=True)

    assert fill(subject, ONE, b"")
    assert subject.get(ONE) == raw
