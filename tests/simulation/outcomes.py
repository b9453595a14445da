"""What an operation may lead to: replies, and the entries and the database after them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from refcache.core.entries import parse_epoch
from refcache.core.exceptions import LoadFailed, StoreUnavailable
from refcache.core.operations import Claim, Entries, Fill, Load, Loaded, Mark, Read, Release
from refcache.core.rules import Rules
from tests.simulation.automata import Throw
from tests.simulation.behaviours import Begin, End, Write
from tests.simulation.lapses import Raws
from tests.simulation.rows import GONE, NOW, ROW
from tests.simulation.states import Database, Store

if TYPE_CHECKING:
    from refcache.core.keys import Key

Outcome = tuple[Any, Store, Database]


def of_database(operation: Any, store: Store, database: Database, task: int) -> Iterator[Outcome]:
    """What the database may reply; nothing where it lets the task wait."""
    match operation:
        case Begin():
            yield database.committed, store, database
        case Write() if database.owner is None:
            yield None, store, database._replace(owner=task, written=operation.version)
        case End():
            yield True, store, database.ended(commits=True)
            yield False, store, database.ended(commits=False)


def of_load(
    load: Load, store: Store, database: Database, faults: frozenset[str]
) -> Iterator[Outcome]:
    rows: list[Mapping[Key, tuple[Any, ...]]] = []
    for request in load.requests:
        seen = database.history[-1 if request.primary else database.replica]
        rows.append({} if seen == GONE else {ROW: (seen,)})
    yield Loaded(tuple(rows), (True,) * len(rows), ({},) * len(rows)), store, database
    if "load" in faults:
        yield Throw(LoadFailed), store, database


def of_store(
    after: Store, reply: Any, store: Store, database: Database, faults: frozenset[str]
) -> Iterator[Outcome]:
    yield reply, after, database
    if "reply" in faults:
        yield Throw(StoreUnavailable), after, database
    if "outage" in faults:
        yield Throw(StoreUnavailable), store, database


def performed(
    rules: Rules, keys: Sequence[bytes], store: Store, operation: Any
) -> tuple[Store, Any]:
    found = dict(zip(keys, store.raws, strict=True))
    if isinstance(operation, Read):
        return store, Entries([found[key] for key in operation.entry_keys], NOW)
    transitions = {Claim: rules.claim, Fill: rules.fill, Mark: rules.mark, Release: rules.release}
    transition: Any = transitions[type(operation)]
    changes, reply = transition(found.get, operation, NOW)
    raws = tuple(changes[key].raw if key in changes else found[key] for key in keys)
    return Store(raws, owed(keys[0], store, raws)), reply


def owed(epoch_key: bytes, store: Store, raws: Raws) -> frozenset[bytes]:
    """Whose end a schema waits for that was just announced, or was before."""
    after = parse_epoch(epoch_key, raws[0])
    young = [s.id for s in after.schemas if s.since > NOW] if after else []
    if not young:
        return frozenset()
    before = parse_epoch(epoch_key, store.raws[0])
    if before and all(before.schema(schema) for schema in young):
        return store.owed
    tokens = before.tokens if before else ()
    return store.owed | {token.id for token in tokens if token.deadline > NOW}


def told(operation: Any, reply: Any) -> str:
    """One step of a schedule, for people."""
    name = type(operation).__name__
    if isinstance(reply, Throw):
        return f"{name} -> {reply.error.__name__}"
    tell: dict[type, Callable[[], Any]] = {
        Read: lambda: [raw and raw[19:20].decode() for raw in reply.raws],
        Claim: lambda: [str(each)[:40] for each in reply.replies[0]],
        Load: lambda: list(reply.rows),
        Fill: lambda: list(reply.stored),
        Mark: lambda: "done" if reply.outdated is None else "outdated",
        Release: lambda: "done" if reply.outdated is None else "outdated",
    }
    said = tell[type(operation)]() if type(operation) in tell else reply
    return f"{name} -> {said}"
