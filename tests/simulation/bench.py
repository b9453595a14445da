"""The protocol by hand: one store, one table of numbers, and readers that go step by step."""

from collections.abc import Generator, Sequence
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any

from refcache.core.drivers import run
from refcache.core.exceptions import LoadFailed, LoadTimedOut, StoreLeftAlone, StoreUnavailable
from refcache.core.keys import key_text
from refcache.core.operations import Detach, Load, Loaded, LoadRequest, MayFill, Refresh, Wait
from refcache.core.pages import Ask, Mode, Page
from refcache.core.protocol import answer
from refcache.core.rules import Rules
from refcache.core.staleness import FRESH, Policy
from refcache.core.terms import Terms
from refcache.core.writes import KnownSchemas, Touched, mark, release
from refcache.tiers.memory import MemoryStore
from tests.simulation.rows import FAMILY, NOW, source

if TYPE_CHECKING:
    from refcache.core.events import Event


class Broken(Exception):
    """What the database says of a row that cannot be read."""


class Bench:
    """A database of {key: number} and a store; `done` names the operations in their order.

    Args:
        rules: The store's.
        grace: The source's, in seconds.
        policy: What its reads accept.
        early: The beta of early refreshes.
    """

    def __init__(
        self,
        rules: Rules | None = None,
        grace: float = 0.0,
        policy: Policy = FRESH,
        early: float = 0.0,
    ) -> None:
        self.rows: dict[int, int] = {}
        self.now = NOW
        self.policy = policy
        self.source = source(grace=grace, tolerance=policy.longest_ms / 1000)
        self.store = MemoryStore(lambda: self.now, rules)
        self.done: list[str] = []
        self.loads: list[list[int]] = []
        self.may_fill, self.fails = True, False
        self.is_down, self.is_left_alone = False, False
        self.fails_for: set[int] = set()  # keys that the database cannot read
        self.load_takes = 0.0  # seconds
        self.has_room = True  # a load that is to be performed beside its caller can begin
        self.going_on: list[Generator[Any, Any, Any]] = []  # what has timed out and goes on
        self.refreshes: list[Refresh] = []
        self.events: list[Event] = []
        self.known: KnownSchemas = {}
        self.chance = 0.0
        self._drawn = count(1)
        self.terms = Terms(
            lambda: next(self._drawn).to_bytes(8, "big"),
            lambda: next(self._drawn).to_bytes(12, "big"),
            chance=lambda: self.chance,
            emit=self.events.append,
            early=early,
            monotonic=lambda: self.now / 1000,
        )

    # Readers

    def ask(self, *keys: int, mode: Mode = Mode.TRUST, horizon_ms: int = 0) -> Ask:
        return Ask(self.source, keys, mode, self.policy, horizon_ms)

    def read(self, *keys: int, mode: Mode = Mode.TRUST) -> dict[Any, Any]:
        return dict(self.page(*keys, mode=mode).rows)

    def page(self, *keys: int, mode: Mode = Mode.TRUST, horizon_ms: int = 0) -> Page:
        self.done, self.loads = [], []
        steps = answer([self.ask(*keys, mode=mode, horizon_ms=horizon_ms)], self.terms)
        return run(steps, self.perform)[0]

    def reader(self, *keys: int, mode: Mode = Mode.TRUST) -> "Hand":
        return Hand(self, answer([self.ask(*keys, mode=mode)], self.terms))

    # Writers, and time

    def mark(self, token: bytes, *keys: int) -> None:
        run(mark(self.touched(*keys), token, self.terms, self.known), self.perform)

    def release(self, token: bytes, *keys: int) -> None:
        run(release(self.touched(*keys), token, self.terms, self.known), self.perform)

    def write(self, key: int, number: int) -> None:
        """Another process writes a row, as it should."""
        self.mark(b"a writer", key)
        self.rows[key] = number
        self.release(b"a writer", key)

    def touched(self, *keys: int, whole: bool = False) -> list[Touched]:
        texts = tuple(map(key_text, keys))
        return [Touched(FAMILY, texts, whole=whole, grace=self.source.grace)]

    def drop_copies(self, *keys: int) -> None:
        """As this process does before it writes, and after."""
        self.terms.copies.drop(FAMILY.epoch_key, map(key_text, keys), whole=not keys)

    def pass_ttl(self, by_ms: int = 0, ttl: float | None = None) -> None:
        """Let a value that is stored now be *by_ms* past its TTL."""
        self.now += round(1000 * (self.source.ttl if ttl is None else ttl)) + by_ms

    # Entries

    def entry_key(self, key: int) -> bytes:
        return self.source.entry_keys([key])[0]

    def raw(self, key: int) -> bytes | None:
        return self.store._get(self.entry_key(key), self.now)

    def put(self, key: int, raw: bytes) -> None:
        """Let *raw* stand under the key, for ever."""
        self.store._entries[self.entry_key(key)] = (raw, None)

    def drop(self, key: int) -> None:
        """Evict the entry."""
        self.store._entries.pop(self.entry_key(key), None)

    # Operations

    def perform(self, operation: Any) -> Any:
        self.done.append(type(operation).__name__)
        match operation:
            case Load():
                return self._load(operation)
            case MayFill():
                return [self.may_fill] * len(operation.sources)
            case Wait():
                self.now += round(operation.seconds * 1000)
                return None
            case Detach():
                return self._beside(operation)
            case Refresh():
                return self.refreshes.append(operation)
        if self.is_left_alone:
            raise StoreLeftAlone("as the test wants it")
        if self.is_down:
            raise StoreUnavailable("as the test wants it")
        return self.store.perform(operation)

    def _beside(self, detach: Detach) -> Any:
        if detach.seconds is None or (self.has_room and self.load_takes <= detach.seconds):
            return run(detach.steps, self.perform)
        self.now += round(detach.seconds * 1000)
        if self.has_room:
            self.going_on.append(detach.steps)
        raise LoadTimedOut(detach.seconds, is_begun=self.has_room)

    def finish_loads(self) -> None:
        """What has timed out comes to its end."""
        for steps in self.going_on:
            run(steps, self.perform)
        self.going_on = []

    def _load(self, load: Load) -> Loaded:
        request = load.requests[0]
        if self.fails:
            raise LoadFailed(request.source, request.keys) from Broken("the whole database")
        is_limited = load.seconds is not None and self.load_takes > load.seconds
        self.now += round(1000 * (load.seconds or 0.0 if is_limited else self.load_takes))
        if load.seconds is not None and is_limited:
            late = LoadTimedOut(load.seconds, is_begun=True)
            failures = [dict.fromkeys(each.keys, late) for each in load.requests]
            return Loaded([{}] * len(failures), [True] * len(failures), failures)
        rows, failed = zip(*map(self._rows, load.requests), strict=True)
        return Loaded(rows, [True] * len(rows), failed)

    def _rows(self, request: LoadRequest) -> tuple[dict[Any, Any], dict[Any, Exception]]:
        keys: Sequence[Any] = request.keys
        self.loads.append(list(keys))
        failed: dict[Any, Exception] = {key: Broken(key) for key in keys if key in self.fails_for}
        found = {k: (self.rows[k],) for k in keys if k in self.rows and k not in failed}
        return found, failed


def windows(while_revalidate: float = 0.0, if_error: float = 0.0, **limits: float) -> Policy:
    """A policy whose windows are given in seconds."""
    policy = Policy(round(1000 * while_revalidate), round(1000 * if_error))
    return replace(policy, **limits)  # type: ignore[arg-type]  # the limits' names


class Hand:
    """A reader that stands still before each operation until it is told to go on."""

    def __init__(self, bench: Bench, steps: Generator[Any, Any, list[Page]]) -> None:
        self._bench = bench
        self._steps = steps
        self.operation: Any = next(steps)
        self.rows: dict[Any, Any] | None = None

    def step(self) -> None:
        try:
            try:
                reply = self._bench.perform(self.operation)
            except (StoreUnavailable, LoadFailed) as exc:
                self.operation = self._steps.throw(exc)
            else:
                self.operation = self._steps.send(reply)
        except StopIteration as stop:
            self.operation, self.rows = None, stop.value[0].rows

    def before(self, kind: type) -> "Hand":
        """Go on until the next operation is of *kind*, or until there is none."""
        while self.rows is None and not isinstance(self.operation, kind):
            self.step()
        return self

    def finish(self) -> dict[Any, Any]:
        while self.rows is None:
            self.step()
        return self.rows
