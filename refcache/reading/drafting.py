"""From declarations to plans: which sources a reference reads, and how its snapshots are made.

All declarations are planned together, because a row that several of them span is one entry,
which holds what any of them needs.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from operator import attrgetter, itemgetter
from typing import Any

from django.db import connections

from refcache.core.composition import Node, Span
from refcache.core.exceptions import InvalidReference
from refcache.core.keys import Key
from refcache.core.snapshots import Snapshot, snapshot_type
from refcache.core.sources import Source
from refcache.declaration import PRIMARY, Declaration
from refcache.reading.casts import own_integers
from refcache.reading.columns import column_for
from refcache.reading.filters import check_filter
from refcache.reading.lists import Lists, lists_of
from refcache.reading.models import (
    AnyField,
    ModelClass,
    caster,
    find_model,
    is_primary,
    key_fields,
    origin_of,
)
from refcache.reading.paths import Branch, branch
from refcache.reading.planning import Plan, Plans
from refcache.reading.rows import Rows, Sources, key_column, sources_of
from refcache.reading.watched import watch

SPANNED_VERSION = 0  # Rows that are only spanned have no declaration; their schema says it all.


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
    lists = (plan.lists for plan in plans.plans.values() if plan.lists is not None)
    plans.watches += [each for one in lists for each in one.watches]
    aliases = {each.alias for each in plans.watches}
    plans.databases = {alias: connections[alias].settings_dict["NAME"] for alias in aliases}
    return plans


class Draft:
    """One declaration against its model; making it raises what is wrong with it."""

    def __init__(self, declaration: Declaration) -> None:
        self.declaration = declaration
        self.model = find_model(declaration)
        self.tree = branch(self.model, declaration.fields)
        self.key_fields = key_fields(declaration, self.model)
        self.by = {names: self._further_key(names) for names in declaration.by}
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

    def _further_key(self, names: tuple[str, ...]) -> tuple[AnyField, ...]:
        fields = key_fields(replace(self.declaration, key=names), self.model)
        if fields == self.key_fields or is_primary(fields, self.model):
            raise InvalidReference(
                f"Reference {self.declaration.name!r} has by={names!r}, which is its key, or the "
                "primary key: give other unique fields."
            )
        return fields

    def _rows(self) -> Rows:
        declaration = self.declaration
        rows = Rows(
            declaration.name,
            replace(
                origin_of(
                    self.model,
                    declaration.using,
                    declaration.filter,
                    reference=declaration.name,
                    field=declaration.key,
                ),
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
        for names, fields in self.by.items():
            wanted += fields
            rows.indexes[names] = fields
        rows.columns = {column.attname: column for column in wanted}
        rows.names = {c.attname: declaration.fields[slot] for c, slot in self.tree.own}
        return rows

    def _snapshot_type(self) -> type[Snapshot]:
        connection = connections[self.rows.origin.alias]
        names = self.declaration.fields
        columns = [
            column_for(column, name, connection)
            for column, name in zip(self.tree.leaves(), names, strict=True)
        ]
        return snapshot_type(self.model.__name__, [key_column(self.rows.origin), *columns])

    def _check_rows(self) -> None:
        """Try what `plan` will do, so that this declaration's faults are found here."""
        spanned: dict[str, Rows] = {}
        self.need_spanned(self.tree, spanned)
        for rows in (self.rows, *spanned.values()):
            sources_of(rows, b"")
            watch(rows, b"")
        self.lists(b"")

    def lists(self, prefix: bytes) -> Lists | None:
        return lists_of(self.declaration, self.rows, self.key_fields, prefix)

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
        plan = Plan(
            declaration=self.declaration,
            model=self.model,
            node=node,
            snapshot_type=self.snapshot_type,
            cast=caster(self.key_fields, self.rows.origin),
            columns=tuple(self.tree.leaves()),
            key_names=tuple(column.name for column in self.key_fields),
            integers=self._integers(self.key_fields),
            policy=self.declaration.policy,
            lists=self.lists(prefix),
        )
        further = {names: self._plan_by(names, plan, own.indexes[names]) for names in self.by}
        return replace(plan, by=further)

    def _plan_by(self, names: tuple[str, ...], plan: Plan, index: Source) -> Plan:
        """The plan of the same rows by another key; their snapshots keep their own."""
        fields = self.by[names]
        key_of = self.rows.key_of(names)
        if self.is_plain:  # Rows are snapshots.
            key_of = attrgetter(*(self.rows.names[each.attname] for each in fields))
        node = replace(
            plan.node,
            index=index,
            key_of=key_of,
            own_key=self.rows.key_of(self.key) or itemgetter(0),
        )
        return replace(
            plan,
            node=node,
            cast=caster(fields, self.rows.origin),
            key_names=tuple(column.name for column in fields),
            integers=self._integers(fields),
            # A refresh goes by the reference's own keys.
            policy=replace(plan.policy, while_revalidate_ms=0),
        )

    def _integers(self, fields: tuple[AnyField, ...]) -> tuple[int, int]:
        connection = connections[self.rows.origin.alias]
        return own_integers(fields[0], connection) if len(fields) == 1 else (1, 0)

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


def _picks(tree: Branch, rows: Rows) -> tuple[tuple[int, int], ...]:
    return tuple((rows.position(column), slot) for column, slot in tree.own)
