"""Single schedules by hand: each tells what went wrong in it, or nothing."""

from contextlib import suppress

from refcache.core import entries
from refcache.core.composition import Node, resolve
from refcache.core.drivers import run
from refcache.core.exceptions import ReferenceUnavailable
from refcache.core.operations import Claim, Load, Wait
from refcache.core.protocol import POLL_LONGEST
from refcache.core.rules import Rules
from tests.simulation.bench import Bench
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
    with suppress(ReferenceUnavailable):
        bench.read(1)
    bench.fails = False
    bench.read(1)
    return _unless("Wait" not in bench.done, "a reader waited for one that had failed")


def a_row_is_wanted_twice(rules: Rules) -> Faults:
    bench = Bench(rules)
    node = Node(bench.source)
    run(resolve([(node, [1]), (node, [1, 2])], bench.terms), bench.perform)
    return _unless(bench.loads == [[1, 2]], f"a row was loaded twice: {bench.loads}")
