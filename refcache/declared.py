"""What is declared: references by name, with the plans to read them and what is wrong with them."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from refcache.core.exceptions import InvalidReference, UnknownReference
from refcache.declaration import Declaration, declare
from refcache.processes import after_fork
from refcache.reading.drafting import plan_all
from refcache.reading.planning import Plan, Plans, check_alias


class Declared:
    """Declarations, planned together when the first of them is needed.

    Args:
        prefix: Gives what every key in Redis begins with.
    """

    def __init__(self, prefix: Callable[[], bytes]) -> None:
        self._prefix = prefix
        self._declarations: dict[str, Declaration] = {}
        self._errors: dict[str, InvalidReference] = {}
        self._plans: Plans | None = None
        self._forget_parent()
        after_fork(self._forget_parent)

    def __contains__(self, name: object) -> bool:
        return name in self._declarations

    def __iter__(self) -> Iterator[Declaration]:
        return iter(tuple(self._declarations.values()))

    def __len__(self) -> int:
        return len(self._declarations)

    def declare(self, name: str, **said: Any) -> Declaration | None:
        """Add one, or the same once more; None where it cannot work, for which `errors` has why."""
        try:
            declaration = declare(name=name, **said)
            self._add(declaration)
        except InvalidReference as exc:
            self._errors[name] = exc
            return None
        return declaration

    def _add(self, declaration: Declaration) -> None:
        known = self._declarations.get(declaration.name)
        if known is not None and not known.is_again(declaration):
            raise InvalidReference(
                f"Reference {declaration.name!r} is registered twice: give one of them a name of "
                'its own, as in name="active-customer".'
            )
        with self._lock:
            self._declarations[declaration.name] = declaration
            self._plans = None

    def check_name(self, name: str) -> None:
        """Raise `UnknownReference` where nothing of that name was declared, be it in error."""
        if name not in self._declarations and name not in self._errors:
            known = ", ".join(self._declarations) or "none"
            raise UnknownReference(f"{name!r} is not a registered reference (known: {known}).")

    @property
    def errors(self) -> dict[str, InvalidReference]:
        """The declarations that cannot work, by name."""
        return {**self._errors, **self.plans.errors}

    @property
    def plans(self) -> Plans:
        if (planned := self._plans) is not None:
            return planned
        with self._lock:
            planned = self._plans or plan_all(self._declarations.values(), self._prefix())
            self._plans = planned  # A connection of another thread may have it forgotten at once.
            return planned

    def plan(self, name: str) -> Plan:
        """The plan of a reference.

        Raises:
            UnknownReference: There is none of that name.
            InvalidReference: Its declaration cannot work.
        """
        plan = self.plans.plans.get(name)
        if plan is None:
            self.check_name(name)
            raise self.errors[name]
        check_alias(plan)
        return plan

    def forget_plans(self) -> None:
        with self._lock:
            self._plans = None

    def connected(self, *, connection: BaseDatabaseWrapper, **_: object) -> None:
        """A test's database has a name of its own: what was planned for another is forgotten."""
        if (plans := self._plans) is not None and plans.is_outdated(connection):
            self._plans = None

    def _forget_parent(self) -> None:
        """In a forked child: another thread of its parent may have held the lock."""
        self._lock = threading.RLock()
