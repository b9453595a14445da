"""Loads of one source by several callers of this process, made one.

A caller joins only a load that has not begun: what another has read may be older than a commit
that the caller has seen. So each source has one load under way, and one batch waits for its end.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

from refcache.core.exceptions import LoadFailed, LoadTimedOut
from refcache.core.keys import Key
from refcache.core.operations import Load, Loaded, LoadRequest, Turn
from refcache.core.sources import Source
from refcache.processes import after_fork

# Seconds; then one loads by oneself. Whoever leads may wait for us in the middle of its load, or be
# a coroutine whose event loop does not run.
LONGEST = 10.0


class _Alone(Exception):
    """The others have taken too long."""


class _Part(NamedTuple):
    """What a load gave for one request."""

    rows: Mapping[Key, tuple[Any, ...]]
    storable: bool
    failures: Mapping[Key, Exception]


class _Member:
    """One caller with one request; told its part, or None: it is to load for the batch."""

    __slots__ = ("future", "request")

    def __init__(self, request: LoadRequest) -> None:
        self.request = request
        self.future: Future[_Part | None] = Future()
        # As if it ran: so that an event loop which gives up waiting does not cancel it.
        self.future.set_running_or_notify_cancel()

    @property
    def place(self) -> tuple[Source, bool]:
        return self.request.source, self.request.primary


@dataclass(slots=True)
class _Gate:
    """A place where somebody loads or is about to; `batch` is whom a load under way is for."""

    leader: _Member
    batch: dict[_Member, None] = field(default_factory=dict)
    waiting: dict[_Member, None] = field(default_factory=dict)


class Sharing:
    """At most one load per source at a time, and nobody waits for more than two.

    Not for callers whose transaction has written, or sees an old state: neither may they give
    their rows to others, nor are those of others right for them.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._forget_parent()
        after_fork(self._forget_parent)

    def steps(self, load: Load) -> Generator[Load | Turn, Any, Loaded]:
        """The rows of each request, read after this was called.

        One request after the other, so that nobody who leads waits for another leader. It takes
        at most twice `load.seconds`: nothing is begun after that time, and a load that has begun
        by then has as much for itself.
        """
        until = None if load.seconds is None else self._clock() + load.seconds
        parts = []
        for request in load.requests:
            member = _Member(request)
            try:
                part = yield from self._wait(member, until, load.seconds)
                if part is None:
                    part = yield from self._lead(member, load.seconds)
            except _Alone:
                self._leave(member)
                part = yield from _load_alone(request, load.seconds)
            finally:  # Also where the caller is cancelled or its generator thrown away.
                self._leave(member)
            parts.append(part)
        return Loaded(
            [part.rows for part in parts],
            [part.storable for part in parts],
            [part.failures for part in parts],
        )

    def _wait(
        self, member: _Member, until: float | None, seconds: float | None
    ) -> Generator[Turn, Any, _Part | None]:
        """The member's part, or None where it is to load."""
        try:
            if not self._enter(member):
                left = self._left(until)
                part: _Part | None = yield Turn(member.future, LONGEST if left is None else left)
                if part is not None:
                    return part
            if self._left(until) == 0:
                return _timed_out(member.request, seconds)
        except TimeoutError:
            if until is None:
                raise _Alone from None
            return _timed_out(member.request, seconds)
        return None

    def _left(self, until: float | None) -> float | None:
        return None if until is None else max(0.0, until - self._clock())

    def _lead(self, leader: _Member, seconds: float | None) -> Generator[Load, Any, _Part]:
        """Load for all who have come until now; what stops the leader alone is not theirs."""
        others = self._begin(leader)
        request = _united([leader, *others])
        try:
            loaded: Loaded = yield Load([request], seconds=seconds)
        except Exception as exc:
            _tell((other, _failed(other.request, exc)) for other in others)
            if isinstance(exc, LoadFailed):  # Of all keys; the leader's are its own ones.
                return _failed(leader.request, exc)
            raise
        part = _Part(loaded.rows[0], loaded.storable[0], loaded.failures[0])
        _tell((other, _cut(part, other.request)) for other in others)
        return _cut(part, leader.request) if others else part

    # The gates, under a lock.

    def _enter(self, member: _Member) -> bool:
        """Whether nobody loads there, so that the member leads at once."""
        with self._lock:
            gate = self._gates.get(member.place)
            if gate is None:
                self._gates[member.place] = _Gate(member)
            else:
                gate.waiting[member] = None
        self._settle()
        return gate is None

    def _begin(self, leader: _Member) -> list[_Member]:
        """For whom else the leader loads; who comes later waits for the next load."""
        with self._lock:
            gate = self._gates[leader.place]
            gate.batch, gate.waiting = gate.waiting, {}
            others = list(gate.batch)
        self._settle()
        return others

    def _leave(self, member: _Member) -> None:
        # A generator can be thrown away by the garbage collector, in a thread that holds the lock.
        # So nobody waits for the lock here: whoever has it looks here again.
        self._leaving.append(member)
        self._settle()

    def _settle(self) -> None:
        while self._leaving and self._lock.acquire(blocking=False):
            try:
                chosen = self._remove(self._leaving.popleft()) if self._leaving else None
            finally:
                self._lock.release()
            if chosen is not None:
                chosen.future.set_result(None)

    def _remove(self, member: _Member) -> _Member | None:
        """Take it out; who leads after it, if it led and others wait."""
        gate = self._gates.get(member.place)
        if gate is None:
            return None
        gate.batch.pop(member, None)
        gate.waiting.pop(member, None)
        if gate.leader is not member:
            return None
        # Those of a leader that was stopped in its load have no answer yet, and go first.
        unanswered = dict.fromkeys(each for each in gate.batch if not each.future.done())
        waiting = unanswered | gate.waiting
        if not waiting:
            del self._gates[member.place]
            return None
        leader = next(iter(waiting))
        del waiting[leader]
        self._gates[member.place] = _Gate(leader, waiting=waiting)
        return leader

    def _forget_parent(self) -> None:
        """In a forked child: those who load or wait are threads of its parent."""
        self._gates: dict[tuple[Source, bool], _Gate] = {}
        self._leaving: deque[_Member] = deque()
        self._lock = threading.Lock()


def _united(members: list[_Member]) -> LoadRequest:
    first = members[0].request
    if len(members) == 1:
        return first
    return first._replace(keys=list(dict.fromkeys(chain(*(m.request.keys for m in members)))))


def _cut(part: _Part, request: LoadRequest) -> _Part:
    """What of it is the request's."""
    rows = {key: part.rows[key] for key in request.keys if key in part.rows}
    failures = {key: part.failures[key] for key in request.keys if key in part.failures}
    return _Part(rows, part.storable, failures)


def _load_alone(request: LoadRequest, seconds: float | None) -> Generator[Load, Any, _Part]:
    loaded: Loaded = yield Load([request], seconds=seconds)
    return _Part(loaded.rows[0], loaded.storable[0], loaded.failures[0])


def _timed_out(request: LoadRequest, seconds: float | None) -> _Part:
    error = LoadTimedOut(seconds or 0.0, is_begun=False)
    return _Part({}, storable=False, failures=dict.fromkeys(request.keys, error))


def _failed(request: LoadRequest, cause: Exception) -> _Part:
    error = LoadFailed(request.source, request.keys)
    error.__cause__ = cause
    return _Part({}, storable=False, failures=dict.fromkeys(request.keys, error))


def _tell(answers: Iterable[tuple[_Member, _Part]]) -> None:
    for member, part in answers:
        member.future.set_result(part)
