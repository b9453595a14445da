"""What a `RouterTrace` records: routers' decisions and the statements that follow."""

from dataclasses import dataclass
from typing import Literal, NamedTuple


class Place(NamedTuple):
    """A line of code."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} in {self.function}"


@dataclass(frozen=True, slots=True)
class Decision:
    """One question to the routers, and what came of it.

    Args:
        operation: What was asked for; a relation is asked about before it is set.
        model: The label; for a relation, both.
        hints: As text, by name: `{"instance": "shop.Book(pk=1) of 'replica'"}`.
        parent: The alias of the instances that the rows are for; None: there are none.
        answer: The alias, or whether the relation is allowed.
        place: The line of code that it was for.
    """

    operation: Literal["read", "write", "relation"]
    model: str
    hints: dict[str, str]
    parent: str | None
    answer: str | bool
    place: Place | None

    @property
    def leaves(self) -> bool:
        """Whether rows are read from another alias than that of their parents."""
        is_apart = self.parent is not None and self.answer != self.parent
        return self.operation == "read" and is_apart

    def __str__(self) -> str:
        hints = ", ".join(f"{name}={hint}" for name, hint in self.hints.items()) or "no hint"
        return f"{self.operation:<8} {self.model} [{hints}] -> {self.answer}"


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement, and the alias that it went to.

    Args:
        alias: The database.
        sql: Its text, without parameters.
        parent: As in `Decision`, where it prefetches.
        place: The line of code that it was for.
    """

    alias: str
    sql: str
    parent: str | None
    place: Place | None

    @property
    def leaves(self) -> bool:
        """Whether rows are read from another alias than that of their parents."""
        is_apart = self.parent is not None and self.alias != self.parent
        return self.sql.lstrip("( ").upper().startswith("SELECT") and is_apart

    def __str__(self) -> str:
        text = " ".join(self.sql.split())
        return f"{'sql':<8} {self.alias}: {text if len(text) <= WIDTH else text[:WIDTH] + '…'}"


Step = Decision | Statement

WIDTH = 80  # characters of a statement that are shown
