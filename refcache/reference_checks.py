"""System checks of the models that have a `ReferenceTo`.

docs/checks.md has a heading for each id.
"""

from collections.abc import Iterator
from inspect import getattr_static
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model

from refcache.core.exceptions import InvalidReference, UnknownReference
from refcache.reference_to import ReferenceTo, relations_of
from refcache.registry import references


@register(Tags.models)
def check_reference_to(**_: Any) -> list[CheckMessage]:
    """E007: a `ReferenceTo` cannot work."""
    try:
        return [
            Error(f"{model._meta.label}.{each.name}: {problem}", id="refcache.E007")
            for model in apps.get_models()
            for each in _own(model)
            for problem in _problems(model, each)
        ]
    except ImproperlyConfigured:  # E001 and E002 tell.
        return []


def _own(model: type[Model]) -> Iterator[ReferenceTo]:
    """Those of *model* that no other model with a table has."""
    parents = [
        base
        for base in model.__mro__[1:]
        if issubclass(base, Model) and base is not Model and not base._meta.abstract
    ]
    for each in relations_of(model):
        if all(getattr_static(parent, each.name, None) is not each for parent in parents):
            yield each


def _problems(model: type[Model], each: ReferenceTo) -> Iterator[str]:
    parts = [each.key] if isinstance(each.key, str) else [*each.key]
    yield from _of_reference(each, parts)
    for part in parts:
        if isinstance(getattr_static(model, part, None), ReferenceTo):
            yield f"its key {part!r} is a ReferenceTo itself. Name what holds the key."
        elif not hasattr(model, part):
            yield (
                f"{model.__name__} has no attribute {part!r} that could be its key. Name a field "
                f"by its attribute, as in key='{each.reference}_id', or a property."
            )
    for name in each.along_with:
        if not isinstance(getattr_static(model, name, None), ReferenceTo):
            yield f"along_with names {name!r}, which is no ReferenceTo of {model.__name__}."


def _of_reference(each: ReferenceTo, parts: list[str]) -> Iterator[str]:
    try:
        names = references.plan(each.reference).key_names
    except UnknownReference as exc:
        yield str(exc)
        return
    except InvalidReference:  # E003 to E006 tell.
        return
    if isinstance(each.key, tuple) and len(parts) != len(names):
        yield (
            f"its key ({', '.join(parts)}) cannot be one of reference {each.reference!r}, which is "
            f"looked up by {', '.join(names)}."
        )
