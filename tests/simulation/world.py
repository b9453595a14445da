"""The simulator's surroundings: who is there, and what database, store and process reply."""

from random import Random
from typing import Any

from refcache.core.copies import Copies
from refcache.core.exceptions import LoadFailed, LoadTimedOut, StoreLeftAlone, StoreUnavailable
from refcache.core.operations import Detach, Load, Loaded, MayFill, Read, Refresh, Wait
from refcache.core.pages import Mode
from refcache.core.rules import Rules
from refcache.core.terms import Terms
from refcache.tiers.memory import MemoryStore
from tests.simulation.accidents import Luck
from tests.simulation.actors import (
    Actor,
    Beside,
    Commit,
    Drop,
    Lock,
    Reader,
    Rollback,
    Told,
    Writer,
)
from tests.simulation.casting import PROCESSES, founders
from tests.simulation.tasks import PENDING, Task
from tests.simulation.town import Town, forget

START_MS = 1_000_000


class World:
    """What all actors share.

    Args:
        random: Decides everything.
        rules: The store's.
        luck: How likely accidents are.
    """

    def __init__(self, random: Random, rules: Rules, luck: Luck) -> None:
        forget()
        self.random, self.luck, self.rules = random, luck, rules
        self.now = START_MS
        self.times = [START_MS]  # ms, by tick
        self.town = Town(founders(self.random))
        self.rules.incarnation = 1
        self.store = MemoryStore(lambda: self.now, self.rules)
        self.copies = [Copies() for _ in range(PROCESSES)]
        self.tasks: list[Task] = []
        self.outage_ends = 0  # tick
        self.drawn = 0
        self.loads: list[tuple[str, tuple[Any, ...]]] = []
        self.waits = 0
        self.is_clean = True  # Nobody crashed, no reply was lost: nothing may be left behind.

    def tick(self) -> None:
        self.town.tick += 1
        self.times.append(self.now)

    def come(self, actor: Actor) -> Task | None:
        self.drawn += 1
        name = f"{type(actor).__name__} {self.drawn}"
        steps = actor.steps(self._terms(actor.process))
        try:
            operation = next(steps)
        except StopIteration:
            return None
        task = Task(name, actor, steps, operation, self.town.tick, self.now)
        self.tasks.append(task)
        return task

    def _terms(self, process: int) -> Terms:
        return Terms(
            lambda: self._draw(8),
            lambda: self._draw(12),
            self.random.random,
            lambda _: None,
            early=1.0,
            monotonic=lambda: self.now / 1000,
            copies=self.copies[process],
        )

    def _draw(self, size: int) -> bytes:
        self.drawn += 1
        return self.drawn.to_bytes(size, "big")

    def go_on(self, task: Task, operation: Any) -> None:
        task.operation = operation
        if isinstance(operation, Wait):
            self.waits += isinstance(task.actor, Reader)
            task.wakes = self.now + round(operation.seconds * 1000)
        if isinstance(operation, Detach):
            task.beside = self.come(Beside(operation.steps, task.actor.process))
            task.wakes = self.now + round((operation.seconds or 1_000_000) * 1000)

    def happens(self, chance: float) -> bool:
        return self.random.random() < chance

    # What the outside replies

    def reply(self, task: Task, operation: Any) -> Any:  # noqa: PLR0911 - one per operation
        match operation:
            case Wait():
                return None
            case MayFill():
                is_allowed = not isinstance(task.actor, Reader) or task.actor.may_fill
                return [is_allowed] * len(operation.sources)
            case Load():
                return self._load(operation)
            case Detach():
                return self._heard(task, operation)
            case Refresh():
                return self._refresh(task.actor, operation)
            case Lock() | Commit() | Rollback() | Drop() | Told():
                return self._of_writer(task, operation)
        return self._ask_the_store(task, operation)

    def _of_writer(self, task: Task, operation: Any) -> Any:
        match operation:
            case Lock():
                task.locks = tuple(operation.places)
                self.town.locks |= dict.fromkeys(task.locks, task)
            case Commit():
                return self._end(task, operation)
            case Rollback():
                self.unlock(task)
            case Drop():
                self._drop(task, operation)
            case Told():
                task.owes = False
                self.town.told(operation.places)
        return None

    def _load(self, load: Load) -> Loaded:
        request = load.requests[0]
        if self.happens(self.luck.failed_load):
            raise LoadFailed(request.source, request.keys)
        if load.seconds is not None and self.happens(self.luck.slow_load):
            late = LoadTimedOut(load.seconds, is_begun=True)
            failures = [dict.fromkeys(r.keys, late) for r in load.requests]
            return Loaded([{}] * len(failures), [False] * len(failures), failures)
        self.loads += [(r.source.origin, tuple(r.keys)) for r in load.requests]
        failed: list[dict[Any, Exception]] = [
            {key: ValueError(key) for key in r.keys if self.happens(self.luck.failed_key)}
            for r in load.requests
        ]
        rows = [
            self.town.load(r.source.origin, [key for key in r.keys if key not in without])
            for r, without in zip(load.requests, failed, strict=True)
        ]
        return Loaded(rows, [True] * len(rows), failed)

    def _heard(self, task: Task, detach: Detach) -> Any:
        other = task.beside
        if other is not None and other.result is PENDING and not other.has_begun:
            self.tasks.remove(other)
            other.steps.close()
        return task.hear(detach)

    def _refresh(self, actor: Any, refresh: Refresh) -> None:
        """Somebody of the same process will do it, or nobody."""
        if self.happens(0.8):
            wanted = [(name.split()[1], keys) for name, keys in refresh.keys.items()]
            self.come(
                Reader(
                    actor.view,
                    wanted,
                    Mode.RENEW,
                    policy=actor.policy,
                    process=actor.process,
                    horizon_ms=refresh.horizon_ms,
                )
            )

    def _drop(self, task: Task, drop: Drop) -> None:
        for each in drop.touches:
            copies = self.copies[task.actor.process]
            copies.drop(each.family.epoch_key, each.texts, whole=each.whole)
        if task.committed is not None:
            task.owes = task.is_unmarked
            self.town.dropped(drop.places, task.actor.process, task.committed)

    def _end(self, task: Task, commit: Commit) -> bool:
        task.is_unmarked = task.is_unmarked or commit.is_foreign
        is_committed = self.town.commit(commit.changes, is_foreign=task.is_unmarked)
        if is_committed:
            task.committed = self.town.tick
        self.unlock(task)
        return is_committed

    def unlock(self, task: Task) -> None:
        for place in task.locks:
            del self.town.locks[place]
        task.locks = ()

    def _ask_the_store(self, task: Task, operation: Any) -> Any:
        if self.town.tick < self.outage_ends:
            self.is_clean = self.is_clean and isinstance(operation, Read)
            raise self.random.choice([StoreUnavailable, StoreLeftAlone])("an outage")
        if isinstance(task.actor, Reader | Beside) and self._owes(task.actor.process):
            raise StoreLeftAlone("it has not heard yet of what this process wrote")
        if isinstance(task.actor, Writer) and task.marked is None:
            task.marked = self.now
        reply = self.store.perform(operation)
        if self.happens(self.luck.lost_reply):
            self.is_clean = False
            raise StoreUnavailable("the reply was lost")
        return reply

    def _owes(self, process: int) -> bool:
        return any(task.owes and task.actor.process == process for task in self.tasks)
