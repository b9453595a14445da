"""What a declaration names, found in its model, or the error that says what is wrong."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeAlias, cast

from django.apps import apps
from django.db import connections
from django.db.models import CompositePrimaryKey, Field, Model, UniqueConstraint

from refcache.core.exceptions import InvalidReference
from refcache.declaration import PRIMARY, Declaration
from refcache.reading.casts import key_caster
from refcache.reading.origin import Origin, alias_of
from refcache.reading.paths import concrete_field

AnyField: TypeAlias = "Field[Any, Any]"
ModelClass: TypeAlias = type[Model]


def find_model(declaration: Declaration) -> ModelClass:
    try:
        return apps.get_model(declaration.label)
    except (LookupError, ValueError) as exc:
        raise InvalidReference(
            f"Reference {declaration.name!r} is of {declaration.label!r}, which is no installed "
            f'model. Give the model, or "app_label.Model".'
        ) from exc


def origin_of(
    model: ModelClass, using: str | None, rows: Mapping[str, Any], **hints: Any
) -> Origin:
    """All of the model's rows that match the filter *rows*, without columns as yet.

    Routers are given *hints* beside those of every load.
    """
    if using is not None and using not in connections:
        known = ", ".join(connections)
        raise InvalidReference(f"using={using!r} is no alias of DATABASES (known: {known}).")
    return Origin(model, alias_of(model, using, **hints), PRIMARY, (), rows)


def primary_fields(model: ModelClass) -> tuple[AnyField, ...]:
    """The columns of the primary key; more than one where it is composite."""
    pk = model._meta.pk
    return tuple(cast("Any", pk).fields) if isinstance(pk, CompositePrimaryKey) else (pk,)


def key_fields(declaration: Declaration, model: ModelClass) -> tuple[AnyField, ...]:
    """The columns of the key that the reference is asked by, which identify a row.

    Raises:
        InvalidReference: There is no such field, or rows can share its values.
    """
    where = f"Key of reference {declaration.name!r}"
    fields = tuple(concrete_field(model, name, where) for name in declaration.key)
    if declaration.is_by_primary_key or is_primary(fields, model):
        return primary_fields(model)
    names = {each.name for each in fields}
    if names not in _unique_sets(model):
        raise InvalidReference(
            f"{where}: {', '.join(sorted(names))} does not identify a row of {model._meta.label}. "
            "Use the primary key, a unique field, or fields with a UniqueConstraint of their own."
        )
    return fields


def is_primary(fields: Sequence[AnyField], model: ModelClass) -> bool:
    return tuple(fields) in ((model._meta.pk,), primary_fields(model))


def caster(fields: Sequence[AnyField], origin: Origin) -> Callable[[object], Hashable]:
    """What turns a caller's key into the database's: a scalar for one field, else a tuple."""
    connection = connections[origin.alias]
    return key_caster(fields[0] if len(fields) == 1 else fields, connection)


def _unique_sets(model: ModelClass) -> list[set[str]]:
    options = model._meta
    parents = [parent._meta for parent in options.all_parents]
    fields = [{each.name} for each in options.concrete_fields if each.unique]
    together = [set(names) for meta in (options, *parents) for names in meta.unique_together]
    constraints = [
        set(each.fields)
        for meta in (options, *parents)
        for each in meta.constraints
        if isinstance(each, UniqueConstraint) and each.fields and each.condition is None
    ]
    return [*fields, *together, *constraints]
