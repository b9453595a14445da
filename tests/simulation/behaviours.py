"""What the model's tasks do: the shipped generators, and the database steps around them."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from refcache.core.exceptions import StoreUnavailable
from refcache.core.operations import Load, Loaded
from refcache.core.pages import Ask, Mode
from refcache.core.protocol import answer
from refcache.core.sources import Source
from refcache.core.terms import Terms
from refcache.core.writes import KnownSchemas, Touched, mark, release
from tests.simulation.rows import FAMILY, ROW, TEXT, UNAVAILABLE, version

Steps = Generator[Any, Any, Any]


class Begin(NamedTuple):
    """Start a transaction that sees the database as it now is; the reply is the version."""


class Write(NamedTuple):
    """Lock the row and write it; nobody else sees it yet."""

    version: int


class End(NamedTuple):
    """End the transaction; the reply says whether it was committed."""


class Draw:
    """A task's own tokens and epochs: never given twice, and the same in every replay."""

    def __init__(self, name: bytes) -> None:
        self._name = name
        self.count = 0

    def token(self) -> bytes:
        self.count += 1
        return b"%-6b%02d" % (self._name, self.count)

    def epoch(self) -> bytes:
        self.count += 1
        return b"%-10b%02d" % (self._name, self.count)


@dataclass(frozen=True)
class Behaviour:
    """One task: how to start it, and what it hears from itself.

    Args:
        start: Makes the generator, given the task's terms.
        is_writer: It may crash with a marker set.
        may_fill: The answer to `MayFill`.
    """

    start: Callable[[Terms], Steps]
    is_writer: bool = False
    may_fill: bool = True
    polls: int = 1
    faults: frozenset[str] = field(default_factory=frozenset)


def reader(source: Source, mode: Mode = Mode.TRUST) -> Callable[[Terms], Steps]:
    def steps(terms: Terms) -> Steps:
        pages = yield from answer([Ask(source, [ROW], mode)], terms)
        return version(pages[0])

    return steps


def snapshot_reader(source: Source, *, is_storable: bool) -> Callable[[Terms], Steps]:
    """In a transaction whose statements all see the database as it was when it began."""

    def steps(terms: Terms) -> Steps:
        seen = yield Begin()
        inner = answer([Ask(source, [ROW])], terms)
        operation = next(inner)
        while True:
            if isinstance(operation, Load):
                reply: Any = Loaded(({ROW: (seen,)},), (is_storable,), ({},))
            else:
                reply = yield operation
            try:
                operation = inner.send(reply)
            except StopIteration as stop:
                return version(stop.value[0])

    return steps


def touched(grace: float = 0.0) -> list[Touched]:
    return [Touched(FAMILY, (TEXT,), grace=grace)]


def everything(grace: float = 0.0) -> list[Touched]:
    return [Touched(FAMILY, (), whole=True, grace=grace)]


def merged(touches: Sequence[Touched]) -> list[Touched]:
    """One release for several marks."""
    return [
        Touched(
            FAMILY,
            tuple({text: None for each in touches for text in each.texts}),
            whole=any(each.whole for each in touches),
            grace=max(each.grace for each in touches),
        )
    ]


Invalidation = Callable[[Sequence[Touched], bytes, Terms, KnownSchemas], Steps]


def writer(
    written: int,
    touches: Sequence[Touched],
    before: Invalidation | None = mark,
    after: Invalidation = release,
    again: Sequence[Touched] = (),
) -> Callable[[Terms], Steps]:
    """Mark, write, commit or roll back, release; other steps *before* and *after* for controls.

    Args:
        written: The version.
        touches: What is marked first; with *again*, what is marked later by the same token.
        before: None for a writer that does not know the protocol.
        after: What follows the end of the transaction.
        again: See *touches*.
    """

    def steps(terms: Terms) -> Steps:
        token = terms.token()
        known: KnownSchemas = {}
        if before is not None:
            try:
                yield from before(touches, token, terms, known)
                yield from before(again, token, terms, known)
            except StoreUnavailable:
                return UNAVAILABLE  # A strict write: refused.
        yield Write(written)
        yield End()
        for _ in range(2):
            try:
                yield from after(merged([*touches, *again]), token, terms, known)
            except StoreUnavailable:
                continue
            return None
        return UNAVAILABLE

    return steps


def release_before_the_end(written: int, touches: Sequence[Touched]) -> Callable[[Terms], Steps]:
    """A negative control."""

    def steps(terms: Terms) -> Steps:
        token = terms.token()
        known: KnownSchemas = {}
        yield from mark(touches, token, terms, known)
        yield Write(written)
        yield from release(touches, token, terms, known)
        yield End()

    return steps


def invalidator(touches: Sequence[Touched]) -> Callable[[Terms], Steps]:
    def steps(terms: Terms) -> Steps:
        yield from release(touches, terms.token(), terms, {})

    return steps
