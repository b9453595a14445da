"""From declarations to plans: which sources a reference reads, and how its snapshots are made.

All declarations are planned together, because a row that several of them span is one entry,
which holds what any of them needs.
"""

import re
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, cast

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from refcache.core.composition import Node, Span
from refcache.core.exceptions import InvalidReference
from refcache.core.keys import Key
from refcache.core.snapshots import Snapshot, snapshot_type
from refcache.core.staleness import Policy
from refcache.declaration import PRIMARY, Declaration
from refcache.reading.casts import own_integers
from refcache.reading.columns import column_for
from refcache.reading.filters import check_filter
from refcache.reading.models import (
    AnyField,
    ModelClass,
    caster,
    find_model,
    is_primary,
    key_fields,
    origin_of,
)
from refcache.reading.origin import Origin, alias_of
from refcache.reading.paths import Branch, branch
from refcache.reading.rows import Rows, Sources, Watch, key_column, sources_of, watch

SPANNED_VERSION = 0  # Rows that are only spanned have no declaration; their schema says it all.


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """How one reference is read.

    Args:
        cast: A caller's key to the database's; raises `InvalidKey`.
        columns: The declared fields' own fields, in the order of the declaration.
        key_names: The fields of the key that the reference is asked by.
        integers: The least and the greatest integer that are keys as they are; (1, 0): none.
        policy: What its reads accept, unless they say otherwise.
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


def plan_all(declarations: Iterable[Declaration], prefix: bytes) -> Plans:
    """A plan per declaration, or the error that makes it impossible.

    Args:
        declarations: With distinct names.
        prefix: What every key in Redis begins with.
    """
    plans = Plans()
    drafts: list[Draft] = []
    spanned: dict[str, Rows] = {}
    for declaration in declarations:
        try:
            drafts.append(Draft(declaration))
        except InvalidReference as exc:
            plans.errors[declaration.name] = exc
    for draft in drafts:
        draft.need_spanned(draft.tree, spanned)
    made = {name: sources_of(rows, prefix) for name, rows in spanned.items()}
    for draft in drafts:
        plans.plans[draft.declaration.name] = draft.plan(prefix, spanned, made)
    rows = [*(draft.rows for draft in drafts), *spanned.values()]
    plans.watches = [watch(each, prefix) for each in rows]
    aliases = {each.alias for each in plans.watches}
    plans.databases = {alias: connections[alias].settings_dict["NAME"] for alias in aliases}
    return plans


def check_alias(plan: Plan) -> None:
    """Refuse to read from two databases under one name: rows would be mistaken for each other.

    Raises:
        InvalidReference: The router's answer depends on more than the model.
    """
    declaration = plan.declaration
    alias = alias_of(plan.model, declaration.using)
    if alias != plan.origin.alias:
        raise InvalidReference(
            f"Reference {declaration.name!r} is read from {plan.origin.alias!r}, and now the "
            f"router answers {alias!r}. Register one reference per database, each with its using=."
        )


class Draft:
    """One declaration against its model; making it raises what is wrong with it."""

    def __init__(self, declaration: Declaration) -> None:
        self.declaration = declaration
        self.model = find_model(declaration)
        self.tree = branch(self.model, declaration.fields)
        self.key_fields = key_fields(declaration, self.model)
        self.rows = self._rows()
        check_filter(self.rows.origin)
        self.snapshot_type = self._snapshot_type()
        self._check_rows()

    @property
    def key(self) -> tuple[str, ...]:
        """The key's names; `("pk",)` for the primary key, however it was declared."""
        return PRIMARY if is_primary(self.key_fields, self.model) else self.declaration.key

    @property
    def is_plain(self) -> bool:
        """Whether a row's payload is its snapshot."""
        is_one_to_one = len(self.rows.columns) == len(self.tree.own)
        return is_one_to_one and not self.tree.spans and self.key == PRIMARY

    def _rows(self) -> Rows:
        declaration = self.declaration
        rows = Rows(
            declaration.name,
            replace(
                origin_of(self.model, declaration.using, declaration.filter),
                replica=declaration.fill_from,
            ),
            declaration.version,
            declaration.ttl,
            declaration.negative_ttl,
            declaration.staleness.longest,
            is_strict=declaration.is_strict,
            watches_sql=declaration.watch_sql,
            grace=declaration.grace,
        )
        wanted = [*(column for column, _ in self.tree.own), *self.tree.spans]
        if self.key != PRIMARY:
            wanted += self.key_fields
            rows.indexes[self.key] = self.key_fields
        rows.columns = {column.attname: column for column in wanted}
        rows.names = {c.attname: declaration.fields[slot] for c, slot in self.tree.own}
        return rows

    def _snapshot_type(self) -> type[Snapshot]:
        connection = connections[self.rows.origin.alias]
        names = self.declaration.fields
        columns = [
            column_for(column, name, connection)
            for column, name in zip(leaves(self.tree), names, strict=True)
        ]
        return snapshot_type(self.model.__name__, [key_column(self.rows.origin), *columns])

    def _check_rows(self) -> None:
        """Try what `plan` will do, so that this declaration's faults are found here."""
        spanned: dict[str, Rows] = {}
        self.need_spanned(self.tree, spanned)
        for rows in (self.rows, *spanned.values()):
            sources_of(rows, b"")
            watch(rows, b"")

    def need_spanned(self, tree: Branch, spanned: dict[str, Rows]) -> None:
        """Add what this reference reads through relations to the rows that are *spanned*."""
        for relation, below in tree.spans.items():
            rows = self._spanned(below, spanned)
            rows.need(self.declaration)
            wanted = [*(column for column, _ in below.own), *below.spans]
            target = relation.target_field
            if not target.primary_key:
                wanted.append(target)
                rows.indexes[(target.name,)] = (target,)
            columns = rows.columns | {column.attname: column for column in wanted}
            rows.columns = dict(sorted(columns.items()))
            self.need_spanned(below, spanned)

    def _spanned(self, below: Branch, spanned: dict[str, Rows]) -> Rows:
        using = self.declaration.using
        name = spanned_name(below.model, using)
        if name not in spanned:
            origin = origin_of(below.model, using, {})
            forever = float("inf")
            spanned[name] = Rows(name, origin, SPANNED_VERSION, forever, forever, 0.0)
        return spanned[name]

    def plan(self, prefix: bytes, spanned: dict[str, Rows], made: dict[str, Sources]) -> Plan:
        own = sources_of(self.rows, prefix, self.snapshot_type if self.is_plain else None)
        make = self.snapshot_type

        def build(key: Key, values: list[Any]) -> Snapshot:
            return make(key, *values)

        node = Node(
            own.rows,
            index=own.indexes.get(self.key),
            key_of=self.rows.key_of(self.key),
            picks=_picks(self.tree, self.rows),
            spans=tuple(self._spans(self.tree, self.rows, spanned, made)),
            build=None if self.is_plain else build,
            slots=len(self.declaration.fields),
        )
        return Plan(
            declaration=self.declaration,
            model=self.model,
            node=node,
            snapshot_type=self.snapshot_type,
            cast=caster(self.key_fields, self.rows.origin),
            columns=tuple(leaves(self.tree)),
            key_names=tuple(column.name for column in self.key_fields),
            integers=self._integers(),
            policy=self.declaration.policy,
        )

    def _integers(self) -> tuple[int, int]:
        connection = connections[self.rows.origin.alias]
        is_single = len(self.key_fields) == 1
        return own_integers(self.key_fields[0], connection) if is_single else (1, 0)

    def _spans(
        self, tree: Branch, rows: Rows, spanned: dict[str, Rows], made: dict[str, Sources]
    ) -> Iterator[Span]:
        for relation, below in tree.spans.items():
            target = self._spanned(below, spanned)
            key = (relation.target_field.name,)
            node = Node(
                made[target.name].rows,
                index=made[target.name].indexes.get(key),
                key_of=target.key_of(key),
                picks=_picks(below, target),
                spans=tuple(self._spans(below, target, spanned, made)),
            )
            yield Span(rows.position(relation), node)


def spanned_name(model: ModelClass, using: str | None) -> str:
    """What the entries of rows are called that are only spanned; `~` begins no declared name."""
    name = f"~{model._meta.label_lower}"
    if using is None:
        return name
    return f"{name}~" + re.sub("[^a-z0-9_.-]", lambda other: f"~{ord(other[0]):x}", using)


def leaves(tree: Branch) -> list[AnyField]:
    """The columns of all slots, in their order."""
    return [column for column, _ in sorted(_slotted(tree), key=lambda leaf: leaf[1])]


def _slotted(tree: Branch) -> Iterator[tuple[AnyField, int]]:
    yield from tree.own
    for below in tree.spans.values():
        yield from _slotted(below)


def _picks(tree: Branch, rows: Rows) -> tuple[tuple[int, int], ...]:
    return tuple((rows.position(column), slot) for column, slot in tree.own)
