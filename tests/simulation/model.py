"""The exhaustive model: every interleaving of a few shipped tasks over the shipped rules.

A state is a tuple of small numbers: the entries, the database, per reader the versions that it may
still return, per task its local state. All of these are interned, and what one task can do next
depends on three numbers only, so it is worked out once.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from refcache.core import protocol
from refcache.core.entries import Epoch, Schema, pack_epoch, parse_epoch
from refcache.core.operations import Load
from refcache.core.pages import Mode, Page
from refcache.core.terms import Terms
from tests.simulation import outcomes
from tests.simulation.automata import Automaton, Finished
from tests.simulation.behaviours import Begin, End, Write
from tests.simulation.lapses import Lapse, Limits, Raws, lapses, opened
from tests.simulation.outcomes import Outcome
from tests.simulation.rows import FAMILY, NOW, ROW, TEXT, UNAVAILABLE, version
from tests.simulation.states import Change, Database, Found, Interned, Move, Setting, Store

CRASHED, DONE = -1, -2  # local states without a number of their own
WEEK = 7 * 24 * 3600 * 1000
State = tuple[int, ...]


class Model:
    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._keys = (FAMILY.epoch_key, *(source.head + TEXT for source in setting.sources))
        self._stores: Interned[Store] = Interned()
        self._databases: Interned[Database] = Interned()
        tasks = setting.tasks
        self._readers = sum(not task.is_writer for task in tasks)
        self._first = 2 + self._readers
        self._automata = [
            Automaton(task, f"{'w' if task.is_writer else 'r'}{i}", 60 + i, merge=setting.merge)
            for i, task in enumerate(tasks)
        ]
        self._tokens = [b"%-6b01" % f"w{i}".encode() for i in range(len(tasks))]
        self._moves: list[dict[tuple[int, int, int], list[Move]]] = [{} for _ in tasks]
        self._changes: dict[tuple[int, ...], list[Change]] = {}
        self._sound: dict[tuple[int, int], bool] = {}
        self._follows = [False, *(a is b for a, b in pairwise(tasks))]

    # The search

    def search(self, limit: int = 0) -> Found:
        """Go through all states, breadth first: the schedule found is a shortest one."""
        first = self._first_state()
        parents: dict[State, State | None] = {first: None}
        layer = [first]
        while layer:
            following: list[State] = []
            for state in layer:
                for successor, is_sound in self._successors(state):
                    if not is_sound:
                        return Found(len(parents), self._schedule(parents, state, successor))
                    if successor not in parents:
                        parents[successor] = state
                        following.append(successor)
            layer = following
            if limit and len(parents) > limit:
                raise AssertionError(f"more than {limit} states")
        return Found(len(parents), [])

    def reached(self) -> set[tuple[Store, Database]]:
        """All pairs of entries and database that can be come to."""
        first = self._first_state()
        seen, todo = {first}, [first]
        while todo:
            fresh = {s for s, _ in self._successors(todo.pop())} - seen
            seen |= fresh
            todo += fresh
        return {(self._stores.items[s[0]], self._databases.items[s[1]]) for s in seen}

    def _first_state(self) -> State:
        epoch = None
        if self._setting.announced:
            schemas = tuple(Schema(s.schema, 0, NOW + WEEK) for s in self._setting.sources)
            epoch = pack_epoch(self._keys[0], Epoch(b"first epoch ", schemas), NOW)
        store = self._stores.number(Store((epoch, *[None] * len(self._setting.sources))))
        database = self._databases.number(Database())
        return (store, database, *[0] * self._readers, *[0] * len(self._automata))

    def _successors(self, state: State) -> Iterator[tuple[State, bool]]:
        store, database = state[0], state[1]
        first, follows = self._first, self._follows
        for task, local in enumerate(state[first:]):
            if local < 0 or (local == 0 and follows[task] and state[first + task - 1] == 0):
                continue
            moves = self._moves[task].get((local, store, database))
            if moves is None:
                moves = self._worked_out(task, local, store, database)
            for move in moves:
                yield self._after(state, task, move)
        over = state[first + self._readers :]
        key = (store, database, *over)
        changes = self._changes.get(key)
        if changes is None:
            changes = self._changes[key] = list(self._worked_out_changes(key))
        for change in changes:
            yield self._changed(state, change)

    def _after(self, state: State, task: int, move: Move) -> tuple[State, bool]:
        new = list(state)
        new[0], new[1], new[self._first + task] = move.store, move.database, move.local
        is_sound = self._is_sound(move.store, move.database)
        if move.committed >= 0:
            self._widen(new, move.committed)
        if task < self._readers:
            if state[self._first + task] == 0:
                new[2 + task] = 1 << self._databases.items[state[1]].committed
            if move.local == DONE:
                is_sound = is_sound and self._is_allowed(move.result, new[2 + task])
                new[2 + task] = 0
        return self._judged(new, is_sound=is_sound)

    def _changed(self, state: State, change: Change) -> tuple[State, bool]:
        new = list(state)
        new[0], new[1] = change.store, change.database
        if change.crashed >= 0:
            new[self._first + change.crashed] = CRASHED
        if change.committed >= 0:
            self._widen(new, change.committed)
        return self._judged(new, is_sound=self._is_sound(change.store, change.database))

    def _judged(self, new: list[int], *, is_sound: bool) -> tuple[State, bool]:
        if self._setting.overruns and not is_sound:
            is_sound = any(local not in (0, DONE) for local in new[self._first + self._readers :])
        return tuple(new), is_sound

    def _widen(self, new: list[int], committed: int) -> None:
        """A reader under way may return what is committed meanwhile."""
        for place in range(2, self._first):
            if new[place]:
                new[place] |= 1 << committed

    # What must hold

    def _is_sound(self, store: int, database: int) -> bool:
        """Whether what would be served equals the committed row."""
        key = (store, database)
        if key not in self._sound:
            committed = self._databases.items[database].committed
            served = self._served(self._stores.items[store].raws)
            self._sound[key] = all(each == committed for each in served)
        return self._sound[key]

    def _served(self, raws: Raws) -> Iterator[int | str]:
        for source, key, raw in zip(self._setting.sources, self._keys[1:], raws[1:], strict=True):
            page = Page(source, Mode.TRUST, epoch=parse_epoch(self._keys[0], raws[0]))
            # Looked up in this way, since some tests replace it.
            vars(protocol)["sort"](page, [ROW], [key], [raw], NOW, _SILENT)
            if page.rows:
                yield version(page)

    def _is_allowed(self, result: Any, window: int) -> bool:
        if self._setting.overruns or result in (None, UNAVAILABLE):
            return True
        return bool(window >> result & 1)

    # What a task can do

    def _worked_out(self, task: int, local: int, store: int, database: int) -> list[Move]:
        moves = [
            self._move(task, local, *outcome)
            for outcome in self._outcomes(
                task, local, self._stores.items[store], self._databases.items[database]
            )
        ]
        self._moves[task][local, store, database] = moves
        return moves

    def _move(self, task: int, local: int, reply: Any, store: Store, database: Database) -> Move:
        automaton = self._automata[task]
        after = automaton.step(local, reply)
        operation = automaton.operations[after]
        is_done = isinstance(operation, Finished)
        is_commit = isinstance(automaton.operations[local], End) and reply is True
        return Move(
            DONE if is_done else after,
            self._stores.number(store),
            self._databases.number(database),
            database.committed if is_commit else -1,
            operation.result if is_done else None,
            reply,
        )

    def _outcomes(
        self, task: int, local: int, store: Store, database: Database
    ) -> Iterator[Outcome]:
        operation = self._automata[task].operations[local]
        faults = self._setting.tasks[task].faults
        if isinstance(operation, Begin | Write | End):
            return outcomes.of_database(operation, store, database, task)
        if isinstance(operation, Load):
            return outcomes.of_load(operation, store, database, faults)
        after, reply = outcomes.performed(self._setting.rules, self._keys, store, operation)
        return outcomes.of_store(after, reply, store, database, faults)

    # What happens by itself

    def _worked_out_changes(self, key: tuple[int, ...]) -> Iterator[Change]:
        store, database = self._stores.items[key[0]], self._databases.items[key[1]]
        locals_of = dict(enumerate(key[2:], self._readers))
        for task, local in locals_of.items():
            if local > 0 and not self._setting.overruns:
                yield Change(key[0], key[1], -1, task, f"writer {task} crashes")
        yield from self._of_database(key, database, locals_of)
        ended = {
            self._tokens[task]
            for task, local in locals_of.items()
            if self._setting.overruns or (local < 0 and database.owner != task)
        }
        caught_up = database.replica == len(database.history) - 1
        is_shown = caught_up or not self._lags
        keeps_values = not (is_shown or self._setting.evicts_early)
        limits = Limits(frozenset(ended), is_shown, keeps_values, self._setting.evicts_epoch)
        for lapse in self._of_store(store, limits):
            number = self._stores.number(
                Store(lapse.raws, outcomes.owed(self._keys[0], store, lapse.raws))
            )
            yield Change(number, key[1], -1, -1, lapse.name)

    def _of_store(self, store: Store, limits: Limits) -> Iterator[Lapse]:
        yield from lapses(self._keys, store.raws, limits)
        epoch = opened(self._keys[0], store.raws[0])
        if epoch is not None and store.owed <= limits.over:
            yield Lapse("the young schema opens", (epoch, *store.raws[1:]))

    @property
    def _lags(self) -> bool:
        return any(source.grace for source in self._setting.sources)

    def _of_database(
        self, key: tuple[int, ...], database: Database, locals_of: dict[int, int]
    ) -> Iterator[Change]:
        if database.owner is not None and locals_of[database.owner] == CRASHED:
            for commits in (True, False):  # The server may still do what it was asked for.
                number = self._databases.number(database.ended(commits=commits))
                committed = database.written if commits else -1
                name = f"the database {'commits' if commits else 'rolls back'} for the dead"
                yield Change(key[0], number, committed, -1, name)
        if self._lags and database.replica < len(database.history) - 1:
            later = database._replace(replica=database.replica + 1)
            yield Change(key[0], self._databases.number(later), -1, -1, "the replica follows")

    # The schedule, for people

    def _schedule(self, parents: dict[State, State | None], state: State, last: State) -> list[str]:
        path = [last]
        before: State | None = state
        while before is not None:
            path.append(before)
            before = parents[before]
        path.reverse()
        return [self._step(a, b) for a, b in pairwise(path)]

    def _step(self, before: State, after: State) -> str:
        for task, local in enumerate(before[self._first :]):
            for move in self._moves[task].get((local, before[0], before[1]), ()):
                if self._after(before, task, move)[0] == after:
                    kind = "writer" if task >= self._readers else "reader"
                    operation = self._automata[task].operations[local]
                    said = outcomes.told(operation, move.reply)
                    end = "" if move.result is None else f", returns {move.result}"
                    return f"{kind} {task}: {said}{end}"
        key = (before[0], before[1], *before[self._first + self._readers :])
        for change in self._changes.get(key, ()):
            if self._changed(before, change)[0] == after:
                return change.name
        raise AssertionError("no step leads there")


def _say_nothing(_: object) -> None:
    return None


def _nothing() -> bytes:
    return b""


_SILENT = Terms(_nothing, _nothing, lambda: 0.0, _say_nothing)
