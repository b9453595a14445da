"""Tens of actors in one town, in an order and with accidents that a seed decides."""

from bisect import bisect_left
from collections.abc import Iterator
from random import Random

from refcache.core import entries
from refcache.core.exceptions import LoadFailed, LoadTimedOut, StoreUnavailable
from refcache.core.rules import Rules
from tests.simulation.accidents import CALM, JUMPS_MS, Luck, corrupt, evict
from tests.simulation.actors import Actor, Commit, Reader, Seen, Writer
from tests.simulation.casting import actors, all_keys
from tests.simulation.tasks import Task, Violation
from tests.simulation.town import VIEWS, Look
from tests.simulation.world import World

WRITE_TIMEOUT_MS = 60_000
LIMIT = 100_000  # steps; a run takes some hundred


class Simulator(World):
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
        random = Random(seed)  # noqa: S311 - it must be repeatable
        super().__init__(random, rules or Rules(), luck or Luck())
        self.waiting_to_come = actors(self.random) if cast is None else list(cast)
        self.orphans: list[tuple[Task, int]] = []
        self.dump: dict[bytes, tuple[bytes, int | None]] = {}
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
        self.now += self.random.randrange(4)
        self.tick()
        ready = [task for task in self.tasks if task.is_ready(self.now, self.town.locks)]
        comes = self.waiting_to_come and (not ready or self.random.random() < 0.1)
        if comes:
            self.come(self.waiting_to_come.pop())
        elif ready:
            self._perform(self.random.choice(ready))
        elif self.orphans:
            self._bury(self.orphans[0][0])
        else:
            self.now = min((t.wakes for t in self.tasks if t.wakes > self.now), default=self.now)

    def _perform(self, task: Task) -> None:
        task.has_begun = True
        try:
            try:
                reply = self.reply(task, task.operation)
            except (StoreUnavailable, LoadFailed, LoadTimedOut) as exc:
                self.go_on(task, task.steps.throw(exc))
            else:
                self.go_on(task, task.steps.send(reply))
        except StopIteration as stop:
            self.tasks.remove(task)
            task.result = stop.value
            if isinstance(task.actor, Reader):
                self._check_answers(task, task.actor, stop.value)

    # Accidents

    def _accidents(self) -> None:
        if self.tasks and self.happens(self.luck.crash):
            self._crash(self.random.choice(self.tasks))
        if self.happens(self.luck.jump):
            self._jump(self.random.choice(JUMPS_MS))
        self._befall_the_store()
        for orphan, tick in tuple(self.orphans):
            if tick <= self.town.tick:
                self._bury(orphan)

    def _befall_the_store(self) -> None:
        luck, stored = self.luck, self.store._entries
        if self.happens(luck.eviction):
            evict(self.random, stored, self.now)
        if self.happens(luck.corruption):
            is_harmless = corrupt(self.random, stored)
            self.is_clean = self.is_clean and is_harmless
        if self.happens(luck.dump):
            self.dump = dict(stored)
        if self.happens(luck.restart):
            self._restart()
        if self.happens(luck.outage):
            self.outage_ends = self.town.tick + self.random.randrange(100)

    def _crash(self, task: Task) -> None:
        """A process is gone; the database ends its transaction a little later."""
        if not isinstance(task.actor, Reader | Writer):
            return  # Nobody promises anything when a stranger dies before it invalidates.
        if task.is_unmarked:
            return  # Nor when one dies whose marks were not made, or lost.
        self.is_clean = False
        for each in (task, task.beside):
            if each in self.tasks:
                self.tasks.remove(each)
                each.steps.close()
        if task.locks:
            self.orphans.append((task, self.town.tick + self.random.randrange(30)))

    def _bury(self, task: Task) -> None:
        self.orphans = [(other, tick) for other, tick in self.orphans if other is not task]
        operation = task.operation
        is_asked = isinstance(operation, Commit) and not operation.is_foreign
        if is_asked and self.happens(0.5):
            self.town.commit(operation.changes)
        self.unlock(task)

    def _restart(self) -> None:
        """The server comes back with what it had some time ago, or with nothing.

        What others may read is not bounded until the writers under way have told it of their end.
        """
        if self.orphans:
            return
        for task in self.tasks:
            task.is_unmarked = task.is_unmarked or task.marked is not None
        self.is_clean = False
        self.rules.incarnation = self.random.randrange(2**48)
        self.store._entries = self.random.choice([{}, dict(self.dump)])

    def _jump(self, by_ms: int) -> None:
        """Time passes; but no transaction may outlast its marker."""
        writers = [*self.tasks, *(orphan for orphan, _ in self.orphans)]
        marked = [task.marked for task in writers if task.marked is not None]
        latest = min(marked, default=self.now + by_ms) + WRITE_TIMEOUT_MS - 5_000
        self.now = max(self.now, min(self.now + by_ms, latest))

    # What must hold

    def _check_answers(self, task: Task, reader: Reader, seen: list[Seen]) -> None:
        for each in seen:
            before = bisect_left(self.times, task.came - each.copied_ms) - 1
            since = max(0, before) if each.copied_ms else task.start
            look = Look(since, task.start, self.town.tick, reader.process)
            # Its age is that of the last look at its page, for which it may have waited.
            is_overdue = each.overdue_ms >= self.now - task.came
            if is_overdue or not self.town.allows(each.kind, each.key, each.row, look):
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
        self.tick()
        self.come(reader)
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
