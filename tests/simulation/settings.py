"""What the exhaustive model is run on, by name: who reads, who writes, and what else may happen."""

from collections.abc import Callable

from refcache.core.keys import key_text
from refcache.core.pages import Mode
from refcache.core.rules import Rules
from refcache.core.writes import Touched, release
from tests.simulation.behaviours import (
    Behaviour,
    everything,
    invalidator,
    reader,
    snapshot_reader,
    touched,
    writer,
)
from tests.simulation.rows import FAMILY, GONE, ROW, source
from tests.simulation.states import Setting

GRACE = 2.0
OLD, NEW, LAGGING = source(), source("bbbbbbbb"), source(grace=GRACE)
NEW_LAGGING = source("bbbbbbbb", grace=GRACE)
READER, NEW_READER, LAGGING_READER = map(Behaviour, map(reader, (OLD, NEW, LAGGING)))
PATIENT = Behaviour(reader(OLD), polls=2)
REFRESHER, RELOADER = (Behaviour(reader(OLD, mode)) for mode in (Mode.REFRESH, Mode.RELOAD))
UNLUCKY = Behaviour(reader(OLD), faults=frozenset({"reply", "outage", "load"}))

Make = Callable[[Rules], Setting]


def writes(version: int, touches: list[Touched] | None = None) -> Behaviour:
    return Behaviour(writer(version, touches or touched()), is_writer=True)


def lagging_writes(version: int, touches: list[Touched] | None = None) -> Behaviour:
    return writes(version, touches or touched(GRACE))


FIRST, SECOND, DELETES = writes(1), writes(2), writes(GONE)
WHOLE = writes(1, everything())
INVALIDATES, INVALIDATES_ALL = (
    Behaviour(invalidator(touches), is_writer=True) for touches in (touched(), everything())
)
LOSES_REPLIES = Behaviour(writer(1, touched()), is_writer=True, faults=frozenset({"reply"}))
MARKS_TWICE = Behaviour(
    writer(1, everything(), again=[Touched(FAMILY, (key_text(ROW + 1),))]), is_writer=True
)
STRANGER, STRANGER_TO_ALL = (
    Behaviour(writer(1, touches, before=None, after=release), is_writer=True)
    for touches in (touched(), everything())
)


def rows(*tasks: Behaviour) -> Make:
    return lambda rules: Setting([OLD], tasks, rules)


def listed(*tasks: Behaviour) -> Make:
    return lambda rules: Setting([OLD], tasks, rules, announced=True)


def forgetful(*tasks: Behaviour) -> Make:
    return lambda rules: Setting([OLD], tasks, rules, evicts_epoch=True)


def overrun(*tasks: Behaviour) -> Make:
    return lambda rules: Setting([OLD], tasks, rules, overruns=True)


def two_schemas(*tasks: Behaviour) -> Make:
    return lambda rules: Setting([OLD, NEW], tasks, rules)


def replicas(*tasks: Behaviour) -> Make:
    return lambda rules: Setting([LAGGING], tasks, rules, announced=True)


LAGGING_UNLUCKY = Behaviour(reader(LAGGING), faults=frozenset({"load"}))
LAGGING_WRITES = lagging_writes(1)

# Those of some seconds each: every run goes through them.
QUICK: dict[str, Make] = {
    "2 readers, 2 writers": rows(READER, READER, FIRST, SECOND),
    "3 readers, 1 writer": rows(READER, READER, READER, FIRST),
    "a writer deletes the row": listed(READER, FIRST, DELETES),
    "readers look twice": rows(PATIENT, PATIENT, FIRST),
    "refresh and reload": rows(REFRESHER, RELOADER, FIRST),
    "outages, lost replies, failed loads": rows(UNLUCKY, UNLUCKY, LOSES_REPLIES),
    "a writer marks the epoch": rows(READER, READER, WHOLE, SECOND),
    "a writer marks the epoch, then another row": rows(READER, READER, MARKS_TWICE),
    "invalidation meanwhile": rows(READER, READER, FIRST, INVALIDATES),
    "invalidation of all meanwhile": rows(READER, READER, FIRST, INVALIDATES_ALL),
    "the epoch is evicted": forgetful(READER, READER, FIRST),
    "the epoch is evicted between two writers": forgetful(READER, WHOLE, SECOND),
    "two schemas, 1 writer": two_schemas(READER, NEW_READER, FIRST),
    "two schemas, 2 writers": two_schemas(READER, NEW_READER, FIRST, SECOND),
    "two schemas, the epoch marked": two_schemas(READER, NEW_READER, WHOLE),
    "a snapshot that may not fill": rows(
        READER,
        Behaviour(snapshot_reader(OLD, is_storable=True), may_fill=False),
        FIRST,
    ),
    "a snapshot that may not be stored": rows(
        READER, Behaviour(snapshot_reader(OLD, is_storable=False)), FIRST
    ),
    "a transaction outlasts its marker": overrun(READER, READER, FIRST),
    "a bulk write outlasts its marker": overrun(READER, READER, WHOLE),
    "a stranger writes, and the row is invalidated": overrun(READER, READER, STRANGER),
    "a stranger writes, and all is invalidated": overrun(READER, READER, STRANGER_TO_ALL),
    "replicas, 2 readers, 1 writer": replicas(LAGGING_READER, LAGGING_READER, LAGGING_WRITES),
    "replicas, 2 writers": replicas(LAGGING_READER, LAGGING_WRITES, lagging_writes(2)),
    "replicas, failed loads": replicas(LAGGING_READER, LAGGING_UNLUCKY, LAGGING_WRITES),
    "replicas, a schema announced after a write": lambda rules: Setting(
        [LAGGING], [LAGGING_READER, LAGGING_WRITES], rules
    ),
    "replicas, a second schema": lambda rules: Setting(
        [LAGGING, NEW_LAGGING],
        [LAGGING_READER, Behaviour(reader(NEW_LAGGING)), LAGGING_WRITES],
        rules,
    ),
    "replicas, a bulk write": replicas(LAGGING_READER, lagging_writes(1, everything(GRACE))),
    "replicas, a bulk and a row writer": replicas(
        LAGGING_READER, lagging_writes(1, everything(GRACE)), lagging_writes(2)
    ),
    "replicas, a refresh within grace": replicas(
        LAGGING_READER, Behaviour(reader(LAGGING, Mode.REFRESH)), LAGGING_WRITES
    ),
    "replicas, a reload within grace": replicas(
        LAGGING_READER, Behaviour(reader(LAGGING, Mode.RELOAD)), LAGGING_WRITES
    ),
}

# Those of minutes: `make test-full`.
FULL: dict[str, Make] = {
    "3 readers, 2 writers": rows(READER, READER, READER, FIRST, SECOND),
    "3 readers, a bulk and a row writer": rows(READER, READER, READER, WHOLE, SECOND),
    "3 modes of reading, 2 writers": rows(READER, REFRESHER, RELOADER, FIRST, SECOND),
    "two schemas, the epoch and a row marked": two_schemas(READER, NEW_READER, WHOLE, SECOND),
    "two schemas, a reader of the old one more": two_schemas(READER, READER, NEW_READER, FIRST),
    "replicas, 2 readers, 2 writers": replicas(
        LAGGING_READER, LAGGING_READER, LAGGING_WRITES, lagging_writes(2)
    ),
    "replicas, 3 readers, 2 writers": replicas(
        LAGGING_READER, LAGGING_READER, LAGGING_READER, LAGGING_WRITES, lagging_writes(2)
    ),
}
