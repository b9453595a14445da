"""What `register` was told, checked for what can be checked without a model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from refcache.core.exceptions import InvalidReference
from refcache.core.keys import NAME
from refcache.core.staleness import Staleness, seconds

PRIMARY = ("pk",)


@dataclass(frozen=True, slots=True)
class Declaration:
    """One reference as its project declared it; durations in seconds.

    `key` is a tuple of field names, `("pk",)` for the primary key.
    """

    label: str
    name: str
    fields: tuple[str, ...]
    key: tuple[str, ...] = PRIMARY
    using: str | None = None
    ttl: float = 300.0
    negative_ttl: float = 30.0
    local_ttl: float = 0.0
    staleness: Staleness = field(default_factory=Staleness)
    missing: Callable[[Any], Mapping[str, Any]] | None = None
    filter: Mapping[str, Any] = field(default_factory=dict)
    version: int = 1

    @property
    def is_by_primary_key(self) -> bool:
        return self.key == PRIMARY


def declare(
    *,
    fields: Sequence[str],
    key: str | Sequence[str],
    ttl: float | timedelta,
    negative_ttl: float | timedelta,
    local_ttl: float | timedelta,
    **rest: Any,
) -> Declaration:
    """A declaration out of what a caller may write; of *rest*, None means the default.

    Raises:
        InvalidReference: A value is not of the kind that its parameter takes.
    """
    declaration = Declaration(
        fields=_names("fields", fields),
        key=(key,) if isinstance(key, str) else _names("key", key),
        ttl=seconds(ttl, "ttl"),
        negative_ttl=seconds(negative_ttl, "negative_ttl"),
        local_ttl=seconds(local_ttl, "local_ttl"),
        **{name: value for name, value in rest.items() if value is not None},
    )
    _check(declaration)
    return declaration


def _names(parameter: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not all(isinstance(each, str) for each in value) or not value:
        raise InvalidReference(
            f"{parameter}={value!r} is no list of field names: give at least one, as in "
            f'{parameter}=["name"].'
        )
    return tuple(value)


def _check(declaration: Declaration) -> None:
    if not NAME.fullmatch(declaration.name) or declaration.name.startswith("~"):
        raise InvalidReference(
            f"{declaration.name!r} cannot name a reference: use a-z, 0-9, '_', '.' and '-', as in "
            "name='customer'."
        )
    if declaration.ttl == 0:
        raise InvalidReference(f"Reference {declaration.name!r} has ttl=0: give seconds > 0.")
    if type(declaration.version) is not int or not 0 <= declaration.version < 2**32:
        raise InvalidReference(
            f"Reference {declaration.name!r} has version={declaration.version!r}: give a whole "
            "number from 0 to 4294967295."
        )
    if not isinstance(declaration.staleness, Staleness):
        raise InvalidReference(
            f"Reference {declaration.name!r} has staleness={declaration.staleness!r}: give a "
            "refcache.Staleness."
        )
