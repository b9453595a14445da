"""What the databases' SQL for triggers has in common."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Protocol

from django.db.backends.base.base import BaseDatabaseWrapper

from refcache.outbox.models import Change

OUTBOX = Change._meta.db_table
PREFIX = "refcache_"  # of all that is made, so that it can be found again
LONGEST_NAME = 63  # bytes; PostgreSQL's limit, and below MySQL's 64 characters
MOST_ROWS = 1000  # of one change; dropping a whole reference costs less than naming more of them
_DIGEST_BYTES = 4


@dataclass(frozen=True, slots=True)
class TriggerTable:
    """A table to make triggers for.

    Args:
        name: As changes are to call it.
        db_table: Its model's, which may begin with a schema.
        columns: Whose values a change holds.
    """

    name: str
    db_table: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TriggerPlan:
    """The triggers of one table.

    Args:
        relations: The names of the table, and of its partitions, as `Existing.relation`.
        creates: By the names of what they create, in their order.
    """

    relations: frozenset[str]
    creates: Mapping[str, str]

    @property
    def digest(self) -> str:
        text = "\n".join(self.creates.values())
        return blake2b(text.encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Existing:
    """A trigger, or its function, that is in the database; `relation` is empty for a function."""

    name: str
    relation: str
    drop: str


class Dialect(Protocol):
    """One database's way with triggers.

    Attributes:
        clock: An expression: seconds since 1970.
        can_replace: Whether creating what exists replaces it.
        session: Statements for a relay's connection.
    """

    clock: str
    can_replace: bool
    session: Sequence[str]

    def qualified(self, connection: BaseDatabaseWrapper, table: str) -> str:
        """The outbox, or a table beside it, in quotes and from anywhere."""

    def plan(
        self, connection: BaseDatabaseWrapper, table: TriggerTable, *, notify: bool
    ) -> TriggerPlan:
        """The triggers for *table*.

        Raises:
            LookupError: The database has no such table.
        """

    def existing(self, connection: BaseDatabaseWrapper) -> list[Existing]:
        """What is there, in an order in which it can be dropped."""


def query(connection: BaseDatabaseWrapper, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall())


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def short_name(*parts: str) -> str:
    """A name for something of ours, which differs where *parts* differ."""
    name = PREFIX + "_".join(parts)
    digest = blake2b("\0".join(parts).encode(), digest_size=_DIGEST_BYTES).hexdigest()
    room = LONGEST_NAME - 1 - len(digest)
    return f"{name.encode()[:room].decode(errors='ignore')}_{digest}"


def parts_of(name: str, quote: str) -> tuple[str, str]:
    """Schema and table of a `db_table`; the schema is empty where it names none.

    Django puts quotes around a name and doubles none within, which is how people give a schema:
    `'shop"."customer'`.
    """
    schema, _, table = name.strip(quote).rpartition(f"{quote}.{quote}")
    return schema, table
