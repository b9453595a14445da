"""The declared fields of a reference as a tree of a model's own columns and its relations."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db.models import CompositePrimaryKey, Field, ForeignKey, Model

from refcache.core.exceptions import InvalidReference


@dataclass(slots=True)
class Branch:
    """What is wanted of one model: columns with their slot in the snapshot, and relations."""

    model: type[Model]
    own: list[tuple["Field[Any, Any]", int]] = field(default_factory=list)
    spans: dict["ForeignKey[Any, Any]", "Branch"] = field(default_factory=dict)

    def models(self) -> Iterator[type[Model]]:
        """Every model whose rows are read."""
        yield self.model
        for below in self.spans.values():
            yield from below.models()

    def leaves(self) -> list["Field[Any, Any]"]:
        """The columns of all slots, in their order."""
        return [column for column, _ in sorted(_slotted(self), key=lambda leaf: leaf[1])]


def branch(model: type[Model], names: tuple[str, ...]) -> Branch:
    """The tree of *names*, in whose order the slots are numbered.

    Raises:
        InvalidReference: A name is no concrete field, or spans something else than a forward
            relation.
    """
    root = Branch(model)
    for slot, name in enumerate(names):
        _add(root, name, name.split("__"), slot)
    return root


def concrete_field(model: type[Model], name: str, where: str) -> "Field[Any, Any]":
    """The field of *model* called *name*, a column of its table or of its parents'.

    Raises:
        InvalidReference: There is none; the message begins with *where*.
    """
    if name == "pk":
        return model._meta.pk
    try:
        found = model._meta.get_field(name)
    except FieldDoesNotExist:
        known = ", ".join(each.name for each in model._meta.concrete_fields)
        raise InvalidReference(
            f"{where}: {model._meta.label} has no field {name!r} (known: {known})."
        ) from None
    if isinstance(found, CompositePrimaryKey):
        return found
    if not isinstance(found, Field) or not found.concrete or found.many_to_many:
        raise InvalidReference(
            f"{where}: {model._meta.label}.{name} is no column. Use a concrete field, or a field "
            "behind a forward relation, as in company__name."
        )
    return found


def _slotted(tree: Branch) -> Iterator[tuple["Field[Any, Any]", int]]:
    yield from tree.own
    for below in tree.spans.values():
        yield from _slotted(below)


def _add(branch: Branch, path: str, parts: list[str], slot: int) -> None:
    found = concrete_field(branch.model, parts[0], f"Field {path!r}")
    if len(parts) == 1:
        if isinstance(found, CompositePrimaryKey):
            raise InvalidReference(
                f"Field {path!r} is a composite primary key: name its fields one by one."
            )
        branch.own.append((found, slot))
        return
    if not isinstance(found, ForeignKey):
        raise InvalidReference(
            f"Field {path!r}: {branch.model._meta.label}.{parts[0]} is no relation, so "
            f"{'__'.join(parts[1:])!r} cannot be reached through it."
        )
    target = found.remote_field.model
    _add(branch.spans.setdefault(found, Branch(target)), path, parts[1:], slot)
