"""Tens of actors in one town, in an order and with accidents that a seed decides."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from refcache.core import entries
from refcache.core.exceptions import LoadFailed, StoreUnavailable
from refcache.core.operations import Load, Loaded, MayFill, Read, Wait
from refcache.core.rules import Rules
from refcache.core.terms import Terms
from refcache.tiers.memory import MemoryStore
from tests.simulation.accidents import CALM, JUMPS_MS, Luck, corrupt, evict
from tests.simulation.actors import (
    Actor,
    Commit,
    Lock,
    Reader,
    Rollback,
    Seen,
    Steps,
    Told,
    Writer,
)
from tests.simulation.casting import actors, all_keys, founders
from tests.simulation.town import VIEWS, Place, Town

WRITE_TIMEOUT_MS = 60_000
START_MS = 1_000_000
LIMIT = 100_000  # steps; a run takes some hundred


@dataclass(eq=False)
class Task:
    name: str
    actor: Actor
    steps: Steps
    operation: Any
    start: int  # tick
    wakes: int = 0  # ms
    marked: int | None = None  # ms
    locks: tuple[Place, ...] = ()


class Violation(AssertionError):
    """A promise was broken; the message tells how to see it again."""


class Simulator:
    """One run.

    Args:
        seed: Decides everything.
        rules: The store's.
        luck: How likely accidents are.
        cast: Who comes; None: as the seed decides.
    """

    def __init__(
        self,
        seed: int,
        rules: Rules | None = None,
        luck: Luck | None = None,
        cast: list[Actor] | None = None,
    ) -> None:
        self.random = Random(seed)  # noqa: S311 - it must be repeatable
        self.now = START_MS
        self.town = Town(founders(self.random))
        self.store = MemoryStore(lambda: self.now, rules or Rules())
        self.luck = luck or Luck()
        self.waiting_to_come = actors(self.random) if cast is None else list(cast)
        self.tasks: list[Task] = []
        self.orphans: list[tuple[Task, int]] = []
        self.outage_ends = 0  # tick
        self.drawn = 0
        self.loads: list[tuple[str, tuple[Any, ...]]] = []
        self.waits = 0
        self.is_clean = True  # Nobody crashed, no reply was lost: nothing may be left behind.
        self.seed = seed

    # A run

    def run(self) -> None:
        """Let everybody come, act and go; then look at all that is left.

        Raises:
            Violation: A read returned what it must not, or an entry is wrong in the end.
        """
        while self.waiting_to_come or self.tasks:
            self._accidents()
            self.step()
            if self.town.tick > LIMIT:
                raise Violation(self._told("it does not end"))
        self._check_the_end()

    def step(self) -> None:
        self.town.tick += 1
        self.now += self.random.randrange(4)
        ready = [task for task in self.tasks if self._is_ready(task)]
        comes = self.waiting_to_come and (not ready or self.random.random() < 0.1)
        if comes:
            self._come(self.waiting_to_come.pop())
        elif ready:
            self._perform(self.random.choice(ready))
        elif self.orphans:
            self._bury(self.orphans[0][0])
        else:
            self.now = min((t.wakes for t in self.tasks if t.wakes > self.now), default=self.now)

    def _is_ready(self, task: Task) -> bool:
        if isinstance(task.operation, Lock):
            return not any(place in self.town.locks for place in task.operation.places)
        return task.wakes <= self.now

    def _come(self, actor: Actor) -> None:
        self.drawn += 1
        name = f"{type(actor).__name__} {self.drawn}"
        steps = actor.steps(self._terms())
        try:
            operation = next(steps)
        except StopIteration:
            return
        self.tasks.append(Task(name, actor, steps, operation, self.town.tick))

    def _terms(self) -> Terms:
        return Terms(
            lambda: self._draw(8), lambda: self._draw(12), self.random.random, lambda _: None
        )

    def _draw(self, size: int) -> bytes:
        self.drawn += 1
        return self.drawn.to_bytes(size, "big")

    def _perform(self, task: Task) -> None:
        try:
            try:
                reply = self._reply(task, task.operation)
            except (StoreUnavailable, LoadFailed) as exc:
                self._next(task, task.steps.throw(exc))
            else:
                self._next(task, task.steps.send(reply))
        except StopIteration as stop:
            self.tasks.remove(task)
            self._check_answers(task, stop.value or [])

    def _next(self, task: Task, operation: Any) -> None:
        task.operation = operation
        if isinstance(operation, Wait):
            self.waits += isinstance(task.actor, Reader)
            task.wakes = self.now + round(operation.seconds * 1000)

    # What the outside replies

    def _reply(self, task: Task, operation: Any) -> Any:  # noqa: PLR0911 - one per operation
        match operation:
            case Wait():
                return None
            case MayFill():
                return [not isinstance(task.actor, Reader) or task.actor.may_fill] * len(
                    operation.sources
                )
            case Load():
                return self._load(operation)
            case Lock():
                task.locks = tuple(operation.places)
                self.town.locks |= dict.fromkeys(task.locks, task)
                return None
            case Commit():
                return self._end(task, operation)
            case Rollback():
                return self._unlock(task)
            case Told():
                return self.town.told(operation.places)
        return self._ask_the_store(task, operation)

    def _load(self, load: Load) -> Loaded:
        request = load.requests[0]
        if self._happens(self.luck.failed_load):
            raise LoadFailed(request.source, request.keys)
        self.loads += [(r.source.origin, tuple(r.keys)) for r in load.requests]
        rows = [self.town.load(r.source.origin, r.keys) for r in load.requests]
        return Loaded(rows, [True] * len(rows))

    def _end(self, task: Task, commit: Commit) -> bool:
        is_committed = self.town.commit(commit.changes, is_foreign=commit.is_foreign)
        self._unlock(task)
        return is_committed

    def _unlock(self, task: Task) -> None:
        for place in task.locks:
            del self.town.locks[place]
        task.locks = ()

    def _ask_the_store(self, task: Task, operation: Any) -> Any:
        if self.town.tick < self.outage_ends:
            self.is_clean = self.is_clean and isinstance(operation, Read)
            raise StoreUnavailable("an outage")
        if isinstance(task.actor, Writer) and task.marked is None:
            task.marked = self.now
        reply = self.store.perform(operation)
        if self._happens(self.luck.lost_reply):
            self.is_clean = False
            raise StoreUnavailable("the reply was lost")
        return reply

    # Accidents

    def _happens(self, chance: float) -> bool:
        return self.random.random() < chance

    def _accidents(self) -> None:
        luck = self.luck
        if self.tasks and self._happens(luck.crash):
            self._crash(self.random.choice(self.tasks))
        if self._happens(luck.jump):
            self._jump(self.random.choice(JUMPS_MS))
        if self._happens(luck.eviction):
            evict(self.random, self.store._entries, self.now)
        if self._happens(luck.corruption):
            is_harmless = corrupt(self.random, self.store._entries)
            self.is_clean = self.is_clean and is_harmless
        if self._happens(luck.outage):
            self.outage_ends = self.town.tick + self.random.randrange(100)
        for orphan, tick in tuple(self.orphans):
            if tick <= self.town.tick:
                self._bury(orphan)

    def _crash(self, task: Task) -> None:
        """A process is gone; the database ends its transaction a little later."""
        if not isinstance(task.actor, Reader | Writer):
            return  # Nobody promises anything when a stranger dies before it invalidates.
        self.is_clean = False
        self.tasks.remove(task)
        task.steps.close()
        if task.locks:
            self.orphans.append((task, self.town.tick + self.random.randrange(30)))

    def _bury(self, task: Task) -> None:
        self.orphans = [(other, tick) for other, tick in self.orphans if other is not task]
        operation = task.operation
        if isinstance(operation, Commit) and self._happens(0.5):
            self.town.commit(operation.changes)
        self._unlock(task)

    def _jump(self, by_ms: int) -> None:
        """Time passes; but no transaction may outlast its marker."""
        writers = [*self.tasks, *(orphan for orphan, _ in self.orphans)]
        marked = [task.marked for task in writers if task.marked is not None]
        latest = min(marked, default=self.now + by_ms) + WRITE_TIMEOUT_MS - 5_000
        self.now = max(self.now, min(self.now + by_ms, latest))

    # What must hold

    def _check_answers(self, task: Task, seen: list[Seen]) -> None:
        for each in seen:
            if not self.town.allows(each.kind, each.key, each.row, task.start, self.town.tick):
                raise Violation(self._told(f"{task.name} was given {each}"))

    def _check_the_end(self) -> None:
        """All is quiet: whoever reads now is given what the database holds."""
        self.luck, self.outage_ends = CALM, 0
        while self.orphans:
            self._bury(self.orphans[0][0])
        if self.is_clean:
            self._check_nothing_is_left()
        for later_ms in (0, WRITE_TIMEOUT_MS + 1_000, 1_000):
            self.now += later_ms
            for view in VIEWS:
                self._read_all(Reader(view, all_keys()))

    def _check_nothing_is_left(self) -> None:
        for key, (raw, expires) in self.store._entries.items():
            entry = entries.parse(key, raw)
            is_alive = expires is None or expires > self.now
            if entry and is_alive and entry.deadline > self.now:
                raise Violation(self._told(f"a lease was left on {key!r}"))

    def _read_all(self, reader: Reader) -> None:
        self.town.tick += 1
        self._come(reader)
        while self.tasks:
            (task,) = self.tasks
            self.now = max(self.now, task.wakes)
            self._perform(task)

    def _told(self, what: str) -> str:
        return f"{what} (step {self.town.tick}; REFCACHE_SEED={self.seed} shows it again)"


def violations(seeds: Iterator[int] | range, rules: Rules | None = None) -> Iterator[str]:
    for seed in seeds:
        try:
            Simulator(seed, rules).run()
        except Violation as violation:
            yield str(violation)
