"""What the tests of odd writes share: a reference on one of the databases, and SQL for it."""

from collections.abc import Sequence
from typing import Any

import pytest
from django.db import connections
from django.db.models import Model, QuerySet

from refcache import ReferenceCache
from refcache.querysets import ReferenceQuerySet
from refcache.reference import Reference

ALIASES = ("default", "mariadb", "sqlite")


def on(*aliases: str) -> pytest.MarkDecorator:
    """Each database as `alias`; it needs no server but its own."""
    return pytest.mark.parametrize(
        "alias",
        [
            pytest.param(alias, marks=pytest.mark.django_db(transaction=True, databases=[alias]))
            for alias in aliases
        ],
    )


on_each = on(*ALIASES)


def refer(
    registry: ReferenceCache, model: type[Model], alias: str, field: str = "name", **options: Any
) -> Reference:
    """A new reference that shows one field."""
    name = model.__name__.lower()
    registry.register(model, [field], name=name, using=alias, **options)
    return registry[name]


def shown(reference: Reference, key: object) -> object:
    """The field that the row of *key* shows; None: there is no row."""
    found = reference.get(key)
    return next(iter(found.as_dict().values())) if found is not None else None


def execute(alias: str, *statements: str, params: Sequence[Any] | None = None) -> None:
    """Through Django, one after the other."""
    with connections[alias].cursor() as cursor:
        for each in statements:
            cursor.execute(each, params)


def plain(model: type[Model], alias: str) -> QuerySet[Any]:
    return QuerySet(model, using=alias)


def precise(model: type[Model], alias: str) -> QuerySet[Any]:
    return ReferenceQuerySet(model, using=alias)
