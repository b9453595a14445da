"""How references are read: what their declarations become."""

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import cast

from django.db.backends.base.base import BaseDatabaseWrapper

from refcache.core.composition import Node
from refcache.core.exceptions import InvalidReference
from refcache.core.snapshots import Snapshot
from refcache.core.staleness import Policy
from refcache.declaration import Declaration
from refcache.reading.lists import Lists
from refcache.reading.models import AnyField, ModelClass
from refcache.reading.origin import Origin, alias_of
from refcache.reading.watched import Watch


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """How one reference is read.

    Args:
        cast: A caller's key to the database's; raises `InvalidKey`.
        columns: The declared fields' own fields, in the order of the declaration.
        key_names: The fields of the key that the reference is asked by.
        integers: The least and the greatest integer that are keys as they are; (1, 0): none.
        policy: What its reads accept, unless they say otherwise.
        by: The same rows by further keys, by the names of their fields.
        lists: Its lists of keys; None where it declares none.
    """

    declaration: Declaration
    model: ModelClass
    node: Node
    snapshot_type: type[Snapshot]
    cast: Callable[[object], Hashable]
    columns: tuple[AnyField, ...]
    key_names: tuple[str, ...]
    integers: tuple[int, int]
    policy: Policy
    by: Mapping[tuple[str, ...], "Plan"] = field(default_factory=dict)
    lists: Lists | None = None

    @property
    def origin(self) -> Origin:
        return cast("Origin", self.node.rows.origin)


@dataclass(slots=True)
class Plans:
    """Everything that is registered, ready to be read and watched."""

    plans: dict[str, Plan] = field(default_factory=dict)
    watches: list[Watch] = field(default_factory=list)
    errors: dict[str, InvalidReference] = field(default_factory=dict)
    databases: dict[str, object] = field(default_factory=dict)

    def is_outdated(self, connection: BaseDatabaseWrapper) -> bool:
        """Whether they were made for another database behind the same alias."""
        name = connection.settings_dict["NAME"]
        return bool(self.databases.get(connection.alias, name) != name)

    def readers(self, entries: str) -> Iterator[tuple[ModelClass, str]]:
        """Whose rows the *entries* of that name hold, and each reference that reads them."""
        models = [each.model for each in self.watches if each.family.reference == entries]
        for name, plan in self.plans.items():
            if any(each.family.reference == entries for each in plan.node.sources()):
                yield models[0], name


def check_alias(plan: Plan) -> None:
    """Refuse to read from two databases under one name: rows would be mistaken for each other.

    Raises:
        InvalidReference: The router's answer depends on more than the model.
    """
    declaration = plan.declaration
    hints = {"reference": declaration.name, "field": declaration.key}
    alias = alias_of(plan.model, declaration.using, **hints)
    if alias != plan.origin.alias:
        raise InvalidReference(
            f"Reference {declaration.name!r} is read from {plan.origin.alias!r}, and now the "
            f"router answers {alias!r}. Register one reference per database, each with its using=."
        )
