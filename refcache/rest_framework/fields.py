"""The serializer field that shows a reference."""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

from rest_framework import serializers
from rest_framework.fields import SkipField
from rest_framework.serializers import BaseSerializer, ListSerializer

from refcache.attaching import Key, key_of
from refcache.core.exceptions import InvalidKey
from refcache.core.snapshots import Snapshot
from refcache.reading.answers import is_null
from refcache.reading.planning import Plan
from refcache.registry import references
from refcache.rest_framework.pages import page_of

PER_ROW_HINT = (
    "Give the serializer its rows as instance= and read its .data; load the relation of a nested "
    "serializer with prefetch_related(), or put ReferenceContextMixin on the view."
)

# Serializer fields whose representation is not the value itself.
REPRESENTED = (
    serializers.DateField,
    serializers.DateTimeField,
    serializers.DecimalField,
    serializers.DurationField,
    serializers.TimeField,
    serializers.UUIDField,
)


class ReferenceField(serializers.Field):
    """A field of the row that a key refers to, or the whole snapshot as an object. Read-only.

    All keys of all rows that the serializer shows are resolved in one read. A null key gives None,
    a missing row its placeholder (None where the reference declares no `missing`).

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
        self.key: Key = tuple(key) if isinstance(key, list) else key
        self.field = field
        super().__init__(**kwargs | {"read_only": True, "source": "*"})

    def keys_of(self, rows: Iterable[Any]) -> list[object]:
        """The keys in *rows*, in their order; a row without one has none."""
        keys = []
        for row in rows:
            try:
                keys.append(self.get_attribute(row))
            except SkipField:
                continue
        return keys

    def get_attribute(self, instance: Any) -> Any:
        """The key, as REST framework takes any attribute: callables called, dots followed."""
        try:
            if isinstance(self.key, tuple):
                return tuple(_attribute(instance, part) for part in self.key)
            return _attribute(instance, self.key)
        except (KeyError, AttributeError):
            # A form that is shown again has no row as yet.
            if isinstance(instance, Mapping):
                raise SkipField from None
            raise

    def to_representation(self, value: Any) -> Any:
        if is_null(value):
            return None
        try:
            found = page_of(self.root).get(
                self.reference, value, under_many=self._is_under_many, hint=PER_ROW_HINT
            )
        except InvalidKey:  # A row cannot have it, so it is missing.
            found = references[self.reference].placeholder(value)
        return self._represent(found)

    def _represent(self, found: Snapshot) -> Any:
        plan = references.plan(self.reference)
        if found.is_placeholder:
            if plan.declaration.missing is None:
                return None
            return found.as_dict() if self.field is None else found[self.field]
        represent = representers(plan)
        if self.field is None:
            return {name: represent[name](value) for name, value in found.as_dict().items()}
        return represent.get(self.field, _as_it_is)(found[self.field])

    @property
    def _is_under_many(self) -> bool:
        parent: BaseSerializer | None = self.parent
        while parent is not None:
            if isinstance(parent, ListSerializer):
                return True
            parent = parent.parent
        return False


@cache
def representers(plan: Plan) -> dict[str, Callable[[Any], Any]]:
    """Per declared field what a ModelSerializer would make of its value."""
    build = serializers.ModelSerializer().build_standard_field
    found = {}
    for name, column in zip(plan.declaration.fields, plan.columns, strict=True):
        field_class, kwargs = build(column.name, column)
        shows = issubclass(field_class, REPRESENTED)
        found[name] = _nullable(field_class(**kwargs).to_representation) if shows else _as_it_is
    return found


def _nullable(represent: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else represent(value)


def _as_it_is(value: Any) -> Any:
    return value


def _attribute(row: Any, name: str) -> Any:
    for part in name.split("."):
        row = key_of(row, part)
        if row is None:
            return None
    return row() if callable(row) else row
