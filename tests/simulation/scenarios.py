"""Single schedules by hand: each tells what went wrong in it, or nothing."""

from refcache.core import entries
from refcache.core.composition import Node, Wanted, resolve
from refcache.core.drivers import run
from refcache.core.operations import Claim, Load, Wait
from refcache.core.pages import Mode
from refcache.core.protocol import POLL_LONGEST
from refcache.core.rules import Rules
from tests.simulation.bench import Bench, windows
from tests.simulation.rows import NOW

Faults = list[str]


def _bench(rules: Rules) -> Bench:
    """One with rows 1 and 2 in the database and in the store."""
    bench = Bench(rules)
    bench.rows = {1: 10, 2: 20}
    bench.read(1, 2)
    return bench


def _unless(held: bool, fault: str) -> Faults:  # noqa: FBT001 - the fact itself
    return [] if held else [fault]


def another_rows_bytes(rules: Rules) -> Faults:
    bench = _bench(rules)
    bench.put(1, bench.raw(2) or b"")
    return _unless(bench.read(1) == {1: 10}, "row 1 was read from the bytes of row 2")


def a_flipped_payload(rules: Rules) -> Faults:
    bench = _bench(rules)
    raw = bench.raw(1) or b""
    bench.put(1, raw[:-1] + bytes([raw[-1] ^ 1]))
    return _unless(bench.read(1) == {1: 10}, "a flipped bit was read")


def an_unlisted_schema(rules: Rules) -> Faults:
    """Its list was lost, so the writers did not know it."""
    bench = _bench(rules)
    epoch_key = bench.source.epoch_key
    epoch = entries.parse_epoch(epoch_key, bench.store._get(epoch_key, bench.now))
    bare = (epoch or entries.Epoch(b"no such id  "))._replace(schemas=())
    bench.store._entries[epoch_key] = (entries.pack_epoch(epoch_key, bare, NOW), None)
    bench.mark(b"a writer", 1)
    bench.rows[1] = 11
    bench.release(b"a writer", 1)
    return _unless(bench.read(1) == {1: 11}, "a write did not reach a schema that is not listed")


def a_row_is_read_again(rules: Rules) -> Faults:
    bench = _bench(rules)
    bench.read(1, 2)
    return _unless(bench.done == ["Read"], f"a warm page took {bench.done}")


def a_value_past_its_ttl(rules: Rules) -> Faults:
    """Somebody wrote without a word."""
    bench = _bench(rules)
    bench.put(1, bench.raw(1) or b"")
    bench.rows[1] = 11
    bench.now += round(bench.source.ttl * 1000) + 1
    return _unless(bench.read(1) == {1: 11}, "a value was served past its TTL")


def many_ask_for_a_cold_row(rules: Rules) -> Faults:
    """Some saw nothing there before the first one claimed, some see its lease."""
    bench = Bench(rules)
    bench.rows = {1: 10}
    early = [bench.reader(1).before(Claim) for _ in range(3)]
    for reader in early:
        reader.step()
    late = [bench.reader(1).before(Wait) for _ in range(3)]
    for reader in (*early, *late):
        reader.finish()
    return _unless(bench.loads == [[1]], f"one row, and these loads: {bench.loads}")


def a_lease_is_never_filled(rules: Rules) -> Faults:
    bench = Bench(rules)
    bench.rows = {1: 10}
    bench.reader(1).before(Load)
    other = bench.reader(1)
    while other.rows is None and bench.now - NOW < 5_000 and len(bench.done) < 1_000:
        other.step()
    longest = bench.terms.lease_wait + POLL_LONGEST
    is_patient = other.rows is not None and bench.now - NOW <= longest * 1000
    return _unless(is_patient, "a reader waited too long for another's lease")


def a_load_fails(rules: Rules) -> Faults:
    bench = Bench(rules)
    bench.fails = True
    bench.read(1)
    bench.fails = False
    bench.read(1)
    return _unless("Wait" not in bench.done, "a reader waited for one that had failed")


def a_row_is_wanted_twice(rules: Rules) -> Faults:
    bench = Bench(rules)
    node = Node(bench.source)
    run(resolve([Wanted(node, [1]), Wanted(node, [1, 2])], bench.terms), bench.perform)
    return _unless(bench.loads == [[1, 2]], f"a row was loaded twice: {bench.loads}")


# Old values, slow loads, and the time without a store


def _tolerant(rules: Rules, **limits: float) -> Bench:
    """As `_bench`; what is old is tolerated for a minute."""
    bench = Bench(rules, policy=windows(60, 60, **limits))
    bench.rows = {1: 10, 2: 20}
    bench.read(1, 2)
    bench.read(1, 2)
    return bench


def a_load_fails_in_part(rules: Rules) -> Faults:
    bench = Bench(rules)
    bench.rows = {1: 10, 2: 20}
    bench.fails_for = {2}
    bench.read(1, 2)
    bench.read(2)
    return _unless("Wait" not in bench.done, "a reader waited for one that had failed")


def a_load_cannot_begin(rules: Rules) -> Faults:
    bench = _tolerant(rules, load_timeout=1.0)
    bench.has_room = False
    bench.read(3)
    bench.has_room = True
    bench.read(3)
    return _unless("Wait" not in bench.done, "a reader waited for a load that never began")


def a_value_past_its_window(rules: Rules) -> Faults:
    bench = _tolerant(rules)
    bench.put(1, bench.raw(1) or b"")
    bench.rows[1] = 11
    bench.pass_ttl(60_000)
    return _unless(bench.read(1) == {1: 11}, "a value was served past its window")


def a_copy_past_its_window(rules: Rules) -> Faults:
    bench = _tolerant(rules)
    bench.is_left_alone, bench.rows[1] = True, 11
    bench.now += 60_000
    return _unless(bench.read(1) == {1: 11}, "a copy was served past its window")


def a_store_that_tells_of_a_write_and_fails(rules: Rules) -> Faults:
    """What is remembered of that is not relied on: this process writes as well."""
    bench = _tolerant(rules)
    bench.is_left_alone = True
    bench.read(1)
    bench.is_left_alone = False
    bench.write(1, 11)
    reader = bench.reader(1).before(Claim)
    bench.drop_copies(2)
    bench.is_left_alone = True
    return _unless(reader.finish() == {1: 11}, "a copy was served of what the store had dropped")


def a_write_is_seen_before_an_outage(rules: Rules) -> Faults:
    bench = _tolerant(rules)
    bench.write(1, 11)
    bench.read(1)
    bench.is_left_alone = True
    return _unless(bench.read(1) == {1: 11}, "a row that was replaced was copied")


def a_reload_without_the_store(rules: Rules) -> Faults:
    bench = _tolerant(rules)
    bench.is_left_alone, bench.rows[1] = True, 11
    found = bench.read(1, mode=Mode.RELOAD)
    return _unless(found == {1: 11}, "who asked for a load was given a copy")


def a_transaction_without_the_store(rules: Rules) -> Faults:
    """It has written row 1, and reads that; nobody else may."""
    bench = _tolerant(rules)
    bench.is_left_alone, bench.may_fill = True, False
    bench.drop_copies(1)
    bench.rows[1] = 11
    own = bench.read(1)
    bench.rows[1], bench.may_fill = 10, True
    others = bench.read(1)
    return _unless(own == {1: 11}, "a transaction did not see its own write") + _unless(
        others == {1: 10}, "what was not committed was copied"
    )


def a_load_outlasts_an_own_write(rules: Rules) -> Faults:
    bench = _tolerant(rules)
    bench.is_left_alone = True
    reader = bench.reader(3).before(Load)
    bench.drop_copies(3)
    reader.finish()
    bench.rows[3] = 30
    return _unless(bench.read(3) == {3: 30}, "what an own write has replaced was copied")


def an_own_write_without_the_store(rules: Rules) -> Faults:
    bench = _tolerant(rules)
    bench.is_left_alone = True
    bench.read(1)
    bench.drop_copies(1)
    bench.rows[1] = 11
    return _unless(bench.read(1) == {1: 11}, "a copy outlived its process's own write")


def a_server_comes_back_with_an_old_dump(rules: Rules) -> Faults:
    bench = _bench(rules)
    dump = dict(bench.store._entries)
    bench.write(1, 11)
    bench.read(1)
    rules.incarnation += 1
    bench.store._entries = dump
    return _unless(bench.read(1) == {1: 11}, "what a dump brought back was read")
