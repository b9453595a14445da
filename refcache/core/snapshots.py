"""What callers get of a row: an immutable, typed projection with a key."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, cast
from weakref import WeakValueDictionary

import msgspec

from refcache.core.columns import Column
from refcache.core.exceptions import InvalidReference, ReservedName

# Names that a declared field would hide.
RESERVED_NAMES = frozenset({"key", "is_placeholder", "as_dict"})


class Snapshot(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One row as it was loaded, or the declared placeholder where there is none (falsy).

    The declared fields are attributes, and items by name.
    """

    key: Any
    is_placeholder: ClassVar[bool] = False

    # Else Python would take a class with __getitem__ for a sequence.
    __iter__ = None

    if TYPE_CHECKING:
        # Those of the types that are made.
        def __init__(self, key: Any, *values: Any) -> None: ...

        def __getattr__(self, name: str) -> Any: ...

    def as_dict(self) -> dict[str, Any]:
        """The declared fields, without the key, in the order of their declaration."""
        return dict(zip(self.__struct_fields__[1:], msgspec.structs.astuple(self)[1:], strict=True))

    def __getitem__(self, name: str) -> Any:
        if name in self.__struct_fields__:
            return getattr(self, name)
        raise KeyError(
            f"{type(self).__name__} has no field {name!r} (known: {_listed(type(self))})."
        )

    def __contains__(self, name: object) -> bool:
        return name in self.__struct_fields__

    def __bool__(self) -> bool:
        return not self.is_placeholder

    # Not msgspec's, which compares the classes: one that was unpickled before its reference was
    # registered is of another class, and equal all the same.
    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Snapshot):
            return NotImplemented
        return self.is_placeholder == other.is_placeholder and (
            _description(self) == _description(other)
        )

    def __ne__(self, other: object) -> bool:
        return not self == other  # msgspec has one of its own here, too.

    def __hash__(self) -> int:
        return hash(msgspec.structs.astuple(self))

    def __copy__(self) -> "Snapshot":
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> "Snapshot":
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return restore_placeholder if self.is_placeholder else restore, _description(self)

    def __repr__(self) -> str:
        text = msgspec.Struct.__repr__(self)
        return f"<placeholder {text}>" if self.is_placeholder else text


def snapshot_type(name: str, columns: Sequence[Column]) -> type[Snapshot]:
    """A class of snapshots called *name*.

    Args:
        name: An identifier, such as the model's name.
        columns: The key's column (whatever its name, it becomes `key`), then the declared fields.

    Raises:
        ReservedName: A field has one.
        InvalidReference: A field is declared twice.
    """
    key, *declared = columns
    names = [column.name for column in declared]
    if reserved := sorted(RESERVED_NAMES.intersection(names)):
        raise ReservedName(
            f"{name} snapshots cannot have a field {reserved[0]!r}: the name has a meaning of its "
            f"own (reserved: {', '.join(sorted(RESERVED_NAMES))}). Leave the field out."
        )
    if len(set(names)) < len(names):
        raise InvalidReference(f"{name} declares a field twice: {', '.join(names)}.")
    return _define(name, [("key", _annotation(key)), *((c.name, _annotation(c)) for c in declared)])


def placeholder(of: type[Snapshot], key: object, values: Mapping[str, Any]) -> Snapshot:
    """A falsy snapshot for a row that is missing; fields not in *values* are None.

    Raises:
        InvalidReference: *values* has a name that is not a declared field.
    """
    declared = of.__struct_fields__[1:]
    if unknown := sorted(set(values).difference(declared)):
        raise InvalidReference(
            f"{of.__name__} has no field {unknown[0]!r} that a placeholder could fill "
            f"(known: {', '.join(declared)})."
        )
    return _placeholder_type(of)(key, *map(values.get, declared))


def restore(name: str, fields: tuple[str, ...], values: tuple[Any, ...]) -> Snapshot:
    """A snapshot from its description: what unpickling calls."""
    return _type_of(name, fields)(*values)


def restore_placeholder(name: str, fields: tuple[str, ...], values: tuple[Any, ...]) -> Snapshot:
    return _placeholder_type(_type_of(name, fields))(*values)


# The types that are alive, so that what is unpickled is of the registered reference's type.
_known: WeakValueDictionary[tuple[str, tuple[str, ...]], type[Snapshot]] = WeakValueDictionary()


def _define(name: str, fields: Sequence[tuple[str, Any]]) -> type[Snapshot]:
    made = _struct(name, fields, Snapshot, gc=False)
    _known[name, made.__struct_fields__] = made
    return made


def _type_of(name: str, fields: tuple[str, ...]) -> type[Snapshot]:
    return _known.get((name, fields)) or _define(name, [(field, Any) for field in fields])


@cache
def _placeholder_type(of: type[Snapshot]) -> type[Snapshot]:
    # Tracked by the garbage collector, as a project may put anything into a placeholder.
    return _struct(of.__name__, (), of, gc=True, namespace={"is_placeholder": True})


def _struct(
    name: str,
    fields: Sequence[tuple[str, Any]],
    base: type[Snapshot],
    **options: Any,
) -> type[Snapshot]:
    made = msgspec.defstruct(
        name,
        fields,
        bases=(base,),
        module=__name__,
        frozen=True,
        array_like=True,
        forbid_unknown_fields=True,  # else it would ignore a payload's items beyond its own
        **options,
    )
    return cast("type[Snapshot]", made)


def _annotation(column: Column) -> Any:
    return (column.kind.direct or Any) | None


def _description(snapshot: Snapshot) -> tuple[str, tuple[str, ...], tuple[Any, ...]]:
    of = type(snapshot)
    return of.__name__, of.__struct_fields__, msgspec.structs.astuple(snapshot)


def _listed(of: type[Snapshot]) -> str:
    return ", ".join(of.__struct_fields__)
