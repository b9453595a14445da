"""A snapshot's values as a ModelSerializer would represent them."""

from collections.abc import Callable
from copy import deepcopy
from functools import cache, partial
from types import SimpleNamespace
from typing import Any

from django.core.signals import setting_changed
from django.db.models import Field, FileField
from rest_framework import serializers
from rest_framework.fields import ModelField

from refcache.reading.planning import Plan
from refcache.rest_framework.keys import AnyField

# The value, and the field that shows it.
Represent = Callable[[Any, AnyField], Any]

# Serializer fields whose representation is not the value itself.
REPRESENTED = (
    serializers.DateField,
    serializers.DateTimeField,
    serializers.DecimalField,
    serializers.DurationField,
    serializers.ListField,
    serializers.TimeField,
    serializers.UUIDField,
)


@cache
def representers(plan: Plan) -> dict[str, Represent]:
    """Per declared field what a ModelSerializer would make of its value."""
    columns = zip(plan.declaration.fields, plan.columns, strict=True)
    return {name: _representer(column) for name, column in columns}


def _representer(column: "Field[Any, Any]") -> Represent:
    build = serializers.ModelSerializer().build_standard_field
    field_class, kwargs = build(column.name, column)
    if isinstance(column, FileField):
        return partial(_file, column, lambda: field_class(**kwargs))
    if column.is_relation:
        return _plain
    if issubclass(field_class, ModelField):
        return partial(_by_model_field, column, field_class(**kwargs))
    if issubclass(field_class, REPRESENTED):
        return partial(_by_field, field_class(**kwargs))
    return _plain


def _by_field(field: AnyField, value: Any, _shower: AnyField) -> Any:
    return None if value is None else field.to_representation(value)


def _by_model_field(
    column: "Field[Any, Any]", field: ModelField, value: Any, _shower: AnyField
) -> Any:
    # It is made for rows, and this is as much of one as it looks at.
    return field.to_representation(SimpleNamespace(**{column.attname: value}))


def _file(column: FileField, make_field: Callable[[], Any], value: Any, shower: AnyField) -> Any:
    # One of its own for each value: the request, by which the URL is made absolute, is not shared.
    field = make_field()
    field.parent = shower
    attr_class: Any = column.attr_class  # Its URL depends on the storage, not on the row.
    return field.to_representation(attr_class(None, column, value))


def _plain(value: Any, _shower: AnyField) -> Any:
    # Frozen ones are shared by all who read the snapshot; not every renderer takes them.
    return deepcopy(value) if isinstance(value, dict | list) else value


def _forget(*, setting: str, **_: object) -> None:
    if setting == "REST_FRAMEWORK":
        representers.cache_clear()


setting_changed.connect(_forget, dispatch_uid="refcache.rest_framework")
