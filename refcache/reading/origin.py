"""Where the rows of a source are read: a model, a database, and which columns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import DEFAULT_DB_ALIAS, router
from django.db.models import Model

from refcache.reading.hints import accepted


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """What the loader needs to know of a source.

    Args:
        model: Whose rows.
        alias: The database that they are read from.
        key: The fields by which rows are asked for, `("pk",)` for the primary key.
        columns: What is read after the primary key, by attribute name.
        filter: Rows outside it count as absent.
        replica: The database that fills may read from; None: the same.
        is_list: Whether it is asked by conditions, and gives the keys of all rows that fulfil one.
        nullable: The parts of such a key that may be null: who has none is in no list.
    """

    model: type[Model]
    alias: str
    key: tuple[str, ...]
    columns: tuple[str, ...] = ()
    filter: Mapping[str, Any] = field(default_factory=dict)
    replica: str | None = None
    is_list: bool = False
    nullable: tuple[str, ...] = ()

    def database(self, *, is_primary: bool) -> str:
        return self.alias if is_primary or self.replica is None else self.replica


def alias_of(model: type[Model], using: str | None, **hints: Any) -> str:
    """The declared database, or the one that the router has the model written to: the primary.

    Args:
        model: Whose rows are loaded.
        using: The declared database.
        hints: For routers that take them: the `reference`, and the `field` that it is asked by.
            They are not told of an instance, for a load is for many, of several callers.
    """
    if using:
        return using
    hints |= {"operation": "load", "cardinality": "many"}
    return router.db_for_write(model, **accepted("db_for_write", hints)) or DEFAULT_DB_ALIAS
