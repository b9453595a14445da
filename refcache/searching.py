"""A reference as it is searched: by further unique fields, and by conditions on its rows."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Protocol, TypeVar

from refcache.core.exceptions import InvalidCondition
from refcache.core.keys import Key
from refcache.core.snapshots import Snapshot
from refcache.core.terms import Steps, Terms
from refcache.reading.answers import Overrides, answers, snapshots
from refcache.reading.lists import keys_where
from refcache.reading.planning import Plan
from refcache.writing.invalidation import Invalidation

T = TypeVar("T")


class Registry(Protocol):
    """What a reference needs of its registry."""

    @property
    def terms(self) -> Terms: ...

    @property
    def invalidation(self) -> Invalidation: ...

    def plan(self, name: str) -> Plan: ...

    def run(self, steps: Steps[T]) -> T: ...

    async def arun(self, steps: Steps[T]) -> T: ...


class Searchable:
    """What a reference is, and how it is searched."""

    def __init__(self, registry: Registry, name: str) -> None:
        self._registry = registry
        self.name = name

    def __repr__(self) -> str:
        return f"<Reference {self.name}>"

    @property
    def plan(self) -> Plan:
        return self._registry.plan(self.name)

    def by(
        self,
        field: str | Sequence[str],
        values: Iterable[object],
        *,
        max_stale: float | timedelta | None = None,
    ) -> dict[Key, Snapshot]:
        """Snapshots by another unique field, which `by=[…]` declares; absent values are left out.

        One round trip more than by the reference's own key.

        Args:
            field: Its name; a tuple of names for fields that are unique together.
            values: Of that field; they come back cast, in the order asked for.
            max_stale: As in `get`.

        Raises:
            InvalidCondition: The field is not declared.
            ReferenceUnavailable: Neither cache nor database could answer for some values.
        """
        return self._registry.run(self._by(field, values, max_stale))

    async def aby(
        self,
        field: str | Sequence[str],
        values: Iterable[object],
        *,
        max_stale: float | timedelta | None = None,
    ) -> dict[Key, Snapshot]:
        return await self._registry.arun(self._by(field, values, max_stale))

    def keys_where(
        self, *, max_stale: float | timedelta | None = None, **conditions: Any
    ) -> list[Key]:
        """The keys of all rows for which the conditions hold, in order; perhaps none.

        For a filter on the referring rows, before they are paginated. One round trip, and right
        after any write: a cached list ends with the next write that may change it.

        Args:
            max_stale: How old a list may be where the database cannot answer; None: as declared.
            conditions: As in `filter()`, on the fields that `where=[…]` declares.

        Raises:
            InvalidCondition: A condition is on no declared field, or no lookup of it.
            ReferenceUnavailable: Neither cache nor database could answer.
        """
        return self._registry.run(self._keys_where(conditions, max_stale))

    async def akeys_where(
        self, *, max_stale: float | timedelta | None = None, **conditions: Any
    ) -> list[Key]:
        return await self._registry.arun(self._keys_where(conditions, max_stale))

    def _by(
        self,
        field: str | Sequence[str],
        values: Iterable[object],
        max_stale: float | timedelta | None,
    ) -> Steps[dict[Key, Snapshot]]:
        plan = _plan_by(self.plan, field)
        # Nothing has a placeholder here: which key would it have?
        is_omitted = plan.declaration.on_error == "omit"
        overrides = Overrides("omit", "omit" if is_omitted else "raise", max_stale)
        found = yield from answers([(plan, values)], self._registry.terms, max_stale=max_stale)
        return snapshots(plan, found[0], overrides)

    def _keys_where(
        self, conditions: Mapping[str, Any], max_stale: float | timedelta | None
    ) -> Steps[list[Key]]:
        Overrides(max_stale=max_stale)  # Says what is wrong with it.
        plan, terms = self.plan, self._registry.terms
        return keys_where(plan.declaration.name, plan.lists, conditions, terms, max_stale)


def _plan_by(plan: Plan, field: str | Sequence[str]) -> Plan:
    names = (field,) if isinstance(field, str) else tuple(field)
    if names not in plan.by:
        known = ", ".join("+".join(each) for each in plan.by) or "none"
        raise InvalidCondition(
            f"Reference {plan.declaration.name!r} cannot be searched by {'+'.join(names)!r} "
            f"(declared: {known}). Declare it with by=[…] where the reference is registered."
        )
    return plan.by[names]
