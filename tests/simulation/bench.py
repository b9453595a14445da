"""The protocol by hand: one store, one table of numbers, and readers that go step by step."""

from collections.abc import Generator, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

from refcache.core.drivers import run
from refcache.core.exceptions import LoadFailed, StoreUnavailable
from refcache.core.keys import key_text
from refcache.core.operations import Load, Loaded, MayFill, Wait
from refcache.core.pages import Ask, Mode, Page
from refcache.core.protocol import answer
from refcache.core.rules import Rules
from refcache.core.terms import Terms
from refcache.core.writes import KnownSchemas, Touched, mark, release
from refcache.tiers.memory import MemoryStore
from tests.simulation.rows import FAMILY, NOW, source

if TYPE_CHECKING:
    from refcache.core.events import Event


class Bench:
    """A database of {key: number} and a store; `done` names the operations in their order."""

    def __init__(self, rules: Rules | None = None, grace: float = 0.0) -> None:
        self.rows: dict[int, int] = {}
        self.now = NOW
        self.source = source(grace=grace)
        self.store = MemoryStore(lambda: self.now, rules)
        self.done: list[str] = []
        self.loads: list[list[int]] = []
        self.may_fill, self.fails, self.is_down = True, False, False
        self.events: list[Event] = []
        self.known: KnownSchemas = {}
        self._drawn = count(1)
        self.terms = Terms(
            lambda: next(self._drawn).to_bytes(8, "big"),
            lambda: next(self._drawn).to_bytes(12, "big"),
            chance=lambda: 0.0,
            emit=self.events.append,
        )

    def read(self, *keys: int, mode: Mode = Mode.TRUST) -> dict[Any, Any]:
        return dict(self.page(*keys, mode=mode).rows)

    def page(self, *keys: int, mode: Mode = Mode.TRUST) -> Page:
        self.done, self.loads = [], []
        steps = answer([Ask(self.source, keys, mode)], self.terms)
        return run(steps, self.perform)[0]

    def reader(self, *keys: int, mode: Mode = Mode.TRUST) -> "Hand":
        return Hand(self, answer([Ask(self.source, keys, mode)], self.terms))

    def mark(self, token: bytes, *keys: int) -> None:
        run(mark(self.touched(*keys), token, self.terms, self.known), self.perform)

    def release(self, token: bytes, *keys: int) -> None:
        run(release(self.touched(*keys), token, self.terms, self.known), self.perform)

    def touched(self, *keys: int) -> list[Touched]:
        texts = tuple(map(key_text, keys))
        return [Touched(FAMILY, texts, grace=self.source.grace)]

    def entry_key(self, key: int) -> bytes:
        return self.source.entry_keys([key])[0]

    def raw(self, key: int) -> bytes | None:
        return self.store._get(self.entry_key(key), self.now)

    def put(self, key: int, raw: bytes) -> None:
        """Let *raw* stand under the key, for ever."""
        self.store._entries[self.entry_key(key)] = (raw, None)

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
        if self.is_down:
            raise StoreUnavailable("as the test wants it")
        return self.store.perform(operation)

    def _load(self, load: Load) -> Loaded:
        request = load.requests[0]
        if self.fails:
            raise LoadFailed(request.source, request.keys)
        asked: list[Sequence[Any]] = [each.keys for each in load.requests]
        self.loads += map(list, asked)
        rows = [{key: (self.rows[key],) for key in keys if key in self.rows} for keys in asked]
        return Loaded(rows, [True] * len(rows))


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
