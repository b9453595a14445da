"""The serializer field that shows a reference."""

from collections.abc import Mapping
from typing import Any

from rest_framework.fields import SkipField

from refcache.attaching import Key
from refcache.core.exceptions import InvalidKey, InvalidReference
from refcache.core.snapshots import Snapshot
from refcache.reading.answers import is_null
from refcache.reading.planning import Plan
from refcache.registry import references
from refcache.rest_framework.gathering import MANY
from refcache.rest_framework.keys import AnySerializer, KeyedField, key_in
from refcache.rest_framework.pages import page_of
from refcache.rest_framework.representing import representers

PER_ROW_HINT = (
    "Give the serializer its rows as instance= (a list or a queryset, not a generator) and read "
    "its .data; load the relation of a nested serializer with prefetch_related(), or put "
    "ReferenceContextMixin on the view."
)


class ReferenceField(KeyedField):
    """A field of the row that a key refers to, or the whole snapshot as an object. Read-only.

    All keys of all rows that the serializer shows are resolved in one read. A null key gives None,
    a missing row its placeholder (None where the reference declares no `missing`). A row that could
    not be read gives what the reference's `on_error` says; where that is "omit", None.

    Args:
        reference: The reference's name.
        key: The row's attribute or item that holds the key; a tuple of them for a composite key.
        field: A declared field; None: all of them.
    """

    def __init__(
        self, reference: str, *, key: Key | list[str], field: str | None = None, **kwargs: Any
    ) -> None:
        if "source" in kwargs:
            raise TypeError("ReferenceField takes key=, not source=.")
        self.reference = reference
        self.key = tuple(key) if isinstance(key, list) else key
        self.field = field
        super().__init__(**kwargs | {"read_only": True, "source": "*"})

    @property
    def plan(self) -> Plan:
        """The reference's.

        Raises:
            UnknownReference, InvalidReference: There is no such reference, or it cannot work.
            InvalidReference: It has no such field.
        """
        plan = references.plan(self.reference)
        if self.field is not None and self.field not in plan.declaration.fields:
            known = ", ".join(plan.declaration.fields)
            raise InvalidReference(
                f"ReferenceField({self.reference!r}, field={self.field!r}): the reference declares "
                f"no such field (known: {known})."
            )
        return plan

    def bind(self, field_name: str, parent: AnySerializer) -> None:
        super().bind(field_name, parent)
        _ = self.plan  # What is wrong with it is told before the first row, and without rows too.

    def get_attribute(self, instance: Any) -> Any:
        try:
            return key_in(instance, self.key)
        except (KeyError, AttributeError):
            # A form that is shown again has no row as yet.
            if isinstance(instance, Mapping):
                raise SkipField from None
            raise

    def to_representation(self, value: Any) -> Any:
        if is_null(value):
            return None
        page = page_of(self.root, hint=PER_ROW_HINT)
        found: Snapshot | None
        try:
            found = page.get(
                self.reference, value, expects_key=self._is_under_many, hint=PER_ROW_HINT
            )
        except InvalidKey:  # A row cannot have it, so it is missing.
            found = references[self.reference].placeholder(value)
        return None if found is None else self._represent(found, page.plan(self.reference))

    def _represent(self, found: Snapshot, plan: Plan) -> Any:
        if found.is_placeholder:
            if plan.declaration.missing is None:
                return None
            return found.as_dict() if self.field is None else found[self.field]
        represent = representers(plan)
        if self.field is None:
            return {name: shown(found[name], self) for name, shown in represent.items()}
        return represent[self.field](found[self.field], self)

    @property
    def _is_under_many(self) -> bool:
        parent: Any = self.parent
        while parent is not None:
            if isinstance(parent, MANY):
                return True
            parent = parent.parent
        return False
