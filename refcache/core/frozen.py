"""Containers that callers may share: what the database gave, but immutable."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any, NoReturn, TypeVar

K = TypeVar("K")
V = TypeVar("V")


def _forbid(name: str) -> Callable[..., NoReturn]:
    def refuse(self: object, *_args: object, **_kwargs: object) -> NoReturn:
        raise TypeError(
            f"{type(self).__name__} is immutable, {name} cannot change it: "
            "change a copy (copy.copy, copy.deepcopy)."
        )

    refuse.__name__ = name
    return refuse


class FrozenDict(dict[K, V]):
    """A dict that refuses changes; equal to a dict with the same items.

    `copy.copy` and `copy.deepcopy` give plain dicts, for whoever wants to change something.
    """

    __slots__ = ()

    __setitem__ = __delitem__ = _forbid("item assignment")
    __ior__ = _forbid("|=")
    clear = _forbid("clear")
    pop = _forbid("pop")
    popitem = _forbid("popitem")
    setdefault = _forbid("setdefault")
    update = _forbid("update")

    def __copy__(self) -> dict[K, V]:
        return dict(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[K, V]:
        return {key: deepcopy(value, memo) for key, value in self.items()}

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self),)


class FrozenList(list[V]):
    """A list that refuses changes; equal to a list with the same items.

    `copy.copy` and `copy.deepcopy` give plain lists, for whoever wants to change something.
    """

    __slots__ = ()

    __setitem__ = __delitem__ = _forbid("item assignment")
    __iadd__ = _forbid("+=")
    __imul__ = _forbid("*=")
    append = _forbid("append")
    clear = _forbid("clear")
    extend = _forbid("extend")
    insert = _forbid("insert")
    pop = _forbid("pop")
    remove = _forbid("remove")
    reverse = _forbid("reverse")
    sort = _forbid("sort")

    def __copy__(self) -> list[V]:
        return list(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> list[V]:
        return [deepcopy(value, memo) for value in self]

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (list(self),)


def freeze(value: object) -> Any:
    """An equal value that cannot be changed, where *value* is made of dicts, lists or bytes.

    Whatever else it holds is left as it is.
    """
    if isinstance(value, dict):
        return FrozenDict(zip(value, map(freeze, value.values()), strict=True))
    if isinstance(value, list):
        return FrozenList(map(freeze, value))
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    return value
