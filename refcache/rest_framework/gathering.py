"""Which rows a serializer is about to show, and which nested serializers show what of them."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from django.db.models import Manager, Model, QuerySet, prefetch_related_objects
from rest_framework.serializers import BaseSerializer, Field, ListSerializer, Serializer

NOT_LOADED = object()


class Shown(NamedTuple):
    """Rows, and the serializer that shows each of them."""

    serializer: Serializer
    rows: list[Any]


def shown_by(root: BaseSerializer, *, prefetch: bool = False) -> Iterator[Shown]:
    """The rows of *root* and of all its nested serializers, as far as they are loaded.

    Args:
        root: With its instance.
        prefetch: Load the relations that nested serializers show and that are not loaded yet, one
            query each.
    """
    if root.instance is not None:
        yield from _shown(root, rows_of(root.instance), prefetch)


def rows_of(instance: Any) -> list[Any]:
    """The rows that a serializer is given: of a list, a queryset or a manager; or the one row.

    An iterator is left alone: it can be consumed once, and not by us.
    """
    if isinstance(instance, Manager):
        return list(instance.all())
    if isinstance(instance, list | tuple | QuerySet | set | frozenset):
        return list(instance)
    return [] if isinstance(instance, Iterator) else [instance]


def _shown(serializer: BaseSerializer, rows: list[Any], prefetch: bool) -> Iterator[Shown]:  # noqa: FBT001 - passed down
    while isinstance(serializer, ListSerializer):
        serializer = serializer.child
    if not rows or not isinstance(serializer, Serializer):
        return
    yield Shown(serializer, rows)
    nested = [field for field in serializer.fields.values() if _is_nested(field)]
    if prefetch:
        _prefetch(rows, nested)
    for field in nested:
        yield from _shown(field, list(_loaded_rows(field, rows)), prefetch)


def _is_nested(field: Field) -> bool:
    return isinstance(field, BaseSerializer) and not field.write_only


def _loaded_rows(field: Field, rows: Iterable[Any]) -> Iterator[Any]:
    for row in rows:
        value = _follow(row, field.source_attrs)
        if value is not NOT_LOADED and value is not None:
            yield from rows_of(value)


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


def _relation(model: type[Model], name: str) -> Any:
    """The relation of *model* behind the attribute *name*; None where it is none."""
    for field in model._meta.get_fields():
        accessor = getattr(field, "get_accessor_name", lambda: None)()
        if field.is_relation and name == (field.name if accessor is None else accessor):
            return field
    return None


def _prefetch(rows: list[Any], nested: list[Field]) -> None:
    models = [row for row in rows if isinstance(row, Model)]
    if not models:
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
