"""The guards of the protocol: how each is taken out, and what then finds it missing."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any

from refcache.core.rules import Rules
from tests.simulation import broken_rules, broken_steps, broken_tolerance, scenarios
from tests.simulation.model import Model
from tests.simulation.settings import QUICK
from tests.simulation.simulator import violations

Find = Callable[[Rules], list[str]]
SEEDS = 300  # each mutation is found within a few dozen


@dataclass(frozen=True)
class Guard:
    """One guard.

    Args:
        found_by: Gives what went wrong, or nothing.
        rules: The rules without it.
        replaces: A function of the core, by its dotted name, that is replaced.
        by: The function without the guard.
    """

    found_by: Find
    rules: type[Rules] = Rules
    replaces: str = ""
    by: Any = None


def search(setting: str) -> Find:
    def find(rules: Rules) -> list[str]:
        return Model(QUICK[setting](rules)).search().schedule

    return find


def simulate(rules: Rules) -> list[str]:
    return list(islice(violations(range(SEEDS), rules), 1))


ONE_WRITER = search("readers look twice")
TWO_WRITERS = search("a writer deletes the row")
EPOCH = search("a writer marks the epoch")
TWO_MARKS = search("a writer marks the epoch, then another row")
INVALIDATION = search("invalidation meanwhile")
OVERRUN = search("a transaction outlasts its marker")
STRANGER = search("a stranger writes, and the row is invalidated")
STRANGER_TO_ALL = search("a stranger writes, and all is invalidated")
SCHEMAS = search("two schemas, 1 writer")
SCHEMAS_EPOCH = search("two schemas, the epoch marked")
SCHEMAS_WRITERS = search("two schemas, 2 writers")
REPLICAS = search("replicas, 2 readers, 1 writer")
REPLICAS_WRITERS = search("replicas, 2 writers")
REPLICAS_FAILURES = search("replicas, failed loads")
NO_FILL = search("a snapshot that may not fill")
NO_STORE = search("a snapshot that may not be stored")

REPLICAS_NEW = search("replicas, a schema announced after a write")
REPLICAS_BULK = search("replicas, a bulk write")
REPLICAS_REFRESH = search("replicas, a refresh within grace")
REPLICAS_RELOAD = search("replicas, a reload within grace")

PROTOCOL, COMPOSITION = "refcache.core.protocol.", "refcache.core.composition."
PAGES, COPIES = "refcache.core.pages.", "refcache.core.copies."

GUARDS = {
    # Fill
    "a fill needs its lease's token": Guard(STRANGER, broken_rules.FillNeedsNoToken),
    "a fill needs an entry": Guard(ONE_WRITER, broken_rules.FillTakesEmptyKeys),
    "a fill respects markers": Guard(ONE_WRITER, broken_rules.FillTakesMarkers),
    "a fill bears the epoch of its claim": Guard(
        STRANGER_TO_ALL, broken_rules.FillBearsTheLatestEpoch
    ),
    "who may not fill does not claim": Guard(
        NO_FILL, replaces=PROTOCOL + "claim", by=broken_steps.claims_without_leave
    ),
    "what is not storable is not filled": Guard(
        NO_STORE, replaces=PROTOCOL + "_load", by=broken_steps.stores_what_is_not_storable
    ),
    "the load comes after the claim": Guard(
        ONE_WRITER,
        replaces="tests.simulation.behaviours.answer",
        by=broken_steps.loads_before_it_claims,
    ),
    # Marker
    "a mark overwrites leases": Guard(ONE_WRITER, broken_rules.MarkSparesLeases),
    "a mark overwrites values": Guard(ONE_WRITER, broken_rules.MarkSparesValues),
    "a claim respects markers": Guard(ONE_WRITER, broken_rules.ClaimIgnoresMarkers),
    "a mark keeps other owners": Guard(TWO_WRITERS, broken_rules.MarkDropsOtherOwners),
    "a release keeps other owners": Guard(TWO_WRITERS, broken_rules.ReleaseDropsOtherOwners),
    "a release needs no marker": Guard(OVERRUN, broken_rules.ReleaseNeedsItsMarker),
    # Epoch
    "a value needs the current epoch": Guard(
        STRANGER_TO_ALL, replaces=PROTOCOL + "sort", by=broken_steps.trusts_any_epoch
    ),
    "a mark of the epoch makes a new one": Guard(
        SCHEMAS_EPOCH, broken_rules.EpochMarkKeepsTheEpoch
    ),
    "a release of the epoch makes a new one": Guard(
        STRANGER_TO_ALL, broken_rules.EpochReleaseKeepsTheEpoch
    ),
    "a marked epoch is closed": Guard(EPOCH, broken_rules.MarkedEpochIsOpen),
    "an epoch has several owners": Guard(SCHEMAS_WRITERS, broken_rules.EpochHasOneOwner),
    "a mark of a row keeps the mark of the epoch": Guard(
        TWO_MARKS, broken_rules.RowMarkOverwritesEpochMark
    ),
    # Schemas
    "a claim announces its schema": Guard(
        scenarios.a_row_is_read_again, broken_rules.SchemasAreNotAnnounced
    ),
    "a schema must be listed": Guard(
        scenarios.an_unlisted_schema,
        replaces=PROTOCOL + "sort",
        by=broken_steps.trusts_unlisted_schemas,
    ),
    "a new schema does not trust what stands there": Guard(
        scenarios.an_unlisted_schema, broken_rules.NewSchemaTrustsWhatStandsThere
    ),
    "a new schema waits for the writers under way": Guard(
        SCHEMAS, broken_rules.NewSchemaOpensAtOnce
    ),
    "a young schema is closed": Guard(SCHEMAS, broken_rules.YoungSchemaMayFill),
    "a mark of a row is known in the epoch": Guard(SCHEMAS, broken_rules.RowMarkIsNotInTheEpoch),
    "the last release opens young schemas": Guard(
        INVALIDATION, broken_rules.FirstReleaseOpensSchemas
    ),
    "a mark refuses an outdated list of schemas": Guard(
        SCHEMAS, broken_rules.MarkTakesOutdatedSchemas
    ),
    "a release refuses an outdated list of schemas": Guard(
        STRANGER, broken_rules.ReleaseTakesOutdatedSchemas
    ),
    # Replicas
    "a tombstone gives a lease that reads the primary": Guard(
        REPLICAS, broken_rules.TombstoneGivesAnyLease
    ),
    "a lease over a tombstone lapses to it": Guard(REPLICAS, broken_rules.LeaseForgetsTombstone),
    "a lease over a tombstone is given back as one": Guard(
        REPLICAS_FAILURES, broken_rules.GivenBackLeaseForgetsTombstone
    ),
    "a release leaves a tombstone": Guard(REPLICAS, broken_rules.ReleaseLeavesNoTombstone),
    "a marker lapses to a tombstone": Guard(REPLICAS, broken_rules.MarkerLeavesNoTombstone),
    "an expired marker is a tombstone": Guard(
        REPLICAS_WRITERS, broken_rules.ExpiredMarkerIsNoTombstone
    ),
    # Bytes
    "the checksum covers the key": Guard(
        scenarios.another_rows_bytes, replaces=PROTOCOL + "sort", by=broken_steps.trusts_any_bytes
    ),
    "the checksum covers the payload": Guard(
        scenarios.a_flipped_payload, replaces=PROTOCOL + "sort", by=broken_steps.trusts_any_bytes
    ),
    "corrupt entries are not trusted": Guard(
        simulate, replaces=PROTOCOL + "sort", by=broken_steps.trusts_any_bytes
    ),
    "a value is served up to its TTL": Guard(
        scenarios.a_value_past_its_ttl,
        replaces=PROTOCOL + "sort",
        by=broken_steps.trusts_stale_values,
    ),
    # Composition
    "a row must have the key that was asked for": Guard(
        simulate, replaces=COMPOSITION + "_has_key", by=broken_steps.believes_the_index
    ),
    "asks of one source are merged": Guard(
        scenarios.a_row_is_wanted_twice,
        replaces=COMPOSITION + "_answer_each",
        by=broken_steps.asks_one_by_one,
    ),
    # Each row is loaded once
    "a claim respects leases": Guard(
        scenarios.many_ask_for_a_cold_row, broken_rules.ClaimIgnoresLeases
    ),
    "a reader waits for another's lease": Guard(
        scenarios.many_ask_for_a_cold_row,
        replaces="refcache.core.pages.sort_one",
        by=broken_steps.waits_for_nobody,
    ),
    "a reader does not wait for ever": Guard(
        scenarios.a_lease_is_never_filled,
        replaces=PROTOCOL + "_end_wait",
        by=broken_steps.waits_for_ever,
    ),
    "a failed load gives its leases back": Guard(
        scenarios.a_load_fails,
        replaces="refcache.core.loading._fill",
        by=broken_steps.keeps_leases_of_failed_loads,
    ),
    "leases of what failed in part are given back": Guard(
        scenarios.a_load_fails_in_part,
        replaces="refcache.core.loading._made",
        by=broken_tolerance.keeps_leases_of_failed_keys,
    ),
    "a load that cannot begin gives its leases back": Guard(
        scenarios.a_load_cannot_begin,
        replaces=PROTOCOL + "_load_beside",
        by=broken_tolerance.keeps_leases_of_what_has_not_begun,
    ),
    # Fills from replicas that no tombstone tells of
    "a new schema reads the primary for a while": Guard(
        REPLICAS_NEW, broken_rules.NewSchemaReadsReplicas
    ),
    "a bulk write that was released reads the primary for a while": Guard(
        REPLICAS_BULK, broken_rules.EpochReleaseLeavesNoGrace
    ),
    "a bulk writer that died reads the primary for a while": Guard(
        REPLICAS_BULK, broken_rules.EpochMarkLeavesNoGrace
    ),
    "a young value is refreshed from the primary": Guard(
        REPLICAS_REFRESH, broken_rules.ValuesAreSettled
    ),
    "a young value that is distrusted is loaded from the primary": Guard(
        REPLICAS_RELOAD, broken_rules.ValuesAreSettled
    ),
    # Restarts
    "an epoch of another incarnation is nothing to a reader": Guard(
        scenarios.a_server_comes_back_with_an_old_dump,
        replaces=PROTOCOL + "_current",
        by=broken_tolerance.believes_any_incarnation,
    ),
    "an epoch of another incarnation is nothing to a script": Guard(
        scenarios.a_server_comes_back_with_an_old_dump, broken_rules.AnyIncarnationIsOurs
    ),
    # Old values
    "an old value is served within its window": Guard(
        scenarios.a_value_past_its_window,
        replaces=PAGES + "_is_served",
        by=broken_tolerance.tolerates_any_age,
    ),
    "an old value is served within its window, by seeds": Guard(
        simulate, replaces=PAGES + "_is_served", by=broken_tolerance.tolerates_any_age
    ),
    # Copies
    "a copy is served within its window": Guard(
        scenarios.a_copy_past_its_window,
        replaces=PROTOCOL + "take_copies",
        by=broken_tolerance.tolerates_copies_of_any_age,
    ),
    "what the store has told of is not copied": Guard(
        scenarios.a_store_that_tells_of_a_write_and_fails,
        replaces=PROTOCOL + "take_copies",
        by=broken_tolerance.takes_copies_in_spite_of_the_store,
    ),
    "who asks for a load is given no copy": Guard(
        scenarios.a_reload_without_the_store,
        replaces=PROTOCOL + "take_copies",
        by=broken_tolerance.takes_copies_in_every_mode,
    ),
    "a transaction of its own neither takes copies nor gives them": Guard(
        scenarios.a_transaction_without_the_store,
        replaces=PROTOCOL + "_without_store",
        by=broken_tolerance.shares_what_may_not_fill,
    ),
    "what was current is copied, and no more": Guard(
        scenarios.a_write_is_seen_before_an_outage,
        replaces=COPIES + "Seen.was_current",
        by=broken_tolerance.was_always_current,
    ),
    "own writes drop copies": Guard(
        scenarios.an_own_write_without_the_store,
        replaces=COPIES + "Copies.drop",
        by=broken_tolerance.drops_no_copies,
    ),
    "what was loaded before an own write is not copied": Guard(
        scenarios.a_load_outlasts_an_own_write,
        replaces=COPIES + "Copies.writes",
        by=broken_tolerance.counts_no_writes,
    ),
}
