"""Which rows a serializer is about to show, and which nested serializers show what of them."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

from django.db.models import Manager, Model, prefetch_related_objects
from rest_framework.serializers import (
    BaseSerializer,
    DictField,
    ListField,
    ListSerializer,
    Serializer,
)

from refcache.rest_framework.keys import AnyField, AnySerializer

NOT_LOADED = object()

# What shows many values, each by its `child`.
MANY = (ListSerializer, ListField, DictField)


class Shown(NamedTuple):
    """Rows, and the serializer that shows each of them."""

    serializer: "Serializer[Any]"
    rows: list[Any]


def shown_by(root: AnySerializer, *, prefetch: bool = False) -> Iterator[Shown]:
    """The rows of *root* and of all its nested serializers, as far as they are loaded.

    Args:
        root: With an instance, or with valid data.
        prefetch: Load the relations that nested serializers show and that are not loaded yet, one
            query each.
    """
    if (instance := instance_of(root)) is not None:
        yield from _shown(root, [instance], prefetch)


def instance_of(root: AnySerializer) -> Any:
    """What its .data shows: the instance, or what is valid and not saved."""
    if root.instance is not None or getattr(root, "_errors", None):
        return root.instance
    return getattr(root, "_validated_data", None)


def rows_in(field: AnyField, value: Any) -> list[Any]:
    """What *field* shows each by itself: of a list, a queryset, a manager; or the one value.

    An iterator is left alone: it can be consumed once, and not by us.
    """
    if not isinstance(field, MANY):
        return [value]
    if isinstance(value, Manager):
        value = value.all()
    if isinstance(field, DictField):
        value = value.values() if isinstance(value, Mapping) else ()
    is_many = isinstance(value, Iterable) and not isinstance(value, Iterator)
    return list(value) if is_many else []


def _shown(field: AnyField, values: list[Any], prefetch: bool) -> Iterator[Shown]:  # noqa: FBT001 - passed down
    while isinstance(field, MANY):
        values = [row for value in values for row in rows_in(field, value)]
        field = field.child  # type: ignore[assignment]  # every one of them has one
    rows = [row for row in values if row is not None]
    if not rows or not isinstance(field, Serializer):
        return
    yield Shown(field, rows)
    nested = [each for each in field.fields.values() if _is_nested(each)]
    if prefetch:
        _prefetch(rows, nested)
    for each in nested:
        yield from _shown(each, _loaded_values(each, rows), prefetch)


def _is_nested(field: AnyField) -> bool:
    return isinstance(field, (BaseSerializer, *MANY)) and not field.write_only


def _loaded_values(field: AnyField, rows: Iterable[Any]) -> list[Any]:
    values = (_follow(row, field.source_attrs) for row in rows)
    return [value for value in values if value is not NOT_LOADED and value is not None]


def _follow(row: Any, attributes: Iterable[str]) -> Any:
    """What *attributes* lead to, without a query."""
    for name in attributes:
        row = _loaded(row, name)
        if row is NOT_LOADED or row is None:
            return row
    return row


def _loaded(row: Any, name: str) -> Any:
    if isinstance(row, Mapping):
        return row.get(name)
    if not isinstance(row, Model) or name in row.__dict__:
        return getattr(row, name, None)
    # The cache of prefetch_related; Django gives no other way to look without asking.
    prefetched = getattr(row, "_prefetched_objects_cache", {})
    if name in prefetched:
        return prefetched[name]
    relation = _relation(type(row), name)
    if relation is not None and not relation.many_to_many and not relation.one_to_many:
        return getattr(row, name, None) if relation.is_cached(row) else NOT_LOADED
    return NOT_LOADED


@cache
def _relation(model: type[Model], name: str) -> Any:
    """The relation of *model* behind the attribute *name*; None where it is none."""
    for field in model._meta.get_fields():
        accessor = getattr(field, "get_accessor_name", lambda: None)()
        if field.is_relation and name == (field.name if accessor is None else accessor):
            return field
    return None


def _prefetch(rows: list[Any], nested: list[AnyField]) -> None:
    models = [row for row in rows if isinstance(row, Model)]
    if len({type(row) for row in models}) != 1:  # None, or several that cannot go together.
        return
    paths = [
        "__".join(field.source_attrs)
        for field in nested
        if _is_relation_path(type(models[0]), field.source_attrs)
        and any(_follow(row, field.source_attrs) is NOT_LOADED for row in models)
    ]
    if paths:
        prefetch_related_objects(models, *paths)


def _is_relation_path(model: type[Model], attributes: list[str]) -> bool:
    for name in attributes:
        relation = _relation(model, name)
        if relation is None or relation.related_model is None:
            return False
        model = relation.related_model
    return bool(attributes)
