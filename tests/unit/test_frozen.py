"""Frozen containers: equal to plain ones, and never changed."""

import copy
import json
import operator
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.renderers import JSONRenderer

from refcache.core.frozen import FrozenDict, FrozenList, freeze

PLAIN = {"a": [1, {"b": None}], "c": "d"}


def test_frozen_values_equal_plain_ones() -> None:
    frozen = freeze(PLAIN)

    assert frozen == PLAIN
    assert PLAIN == frozen  # noqa: SIM300 - the other way round, too
    assert isinstance(frozen, dict)
    assert isinstance(frozen["a"], list)


DICT_CHANGES: dict[str, Callable[[Any], object]] = {
    "item": lambda value: operator.setitem(value, "a", 1),
    "del": lambda value: operator.delitem(value, "a"),
    "update_operator": lambda value: value.__ior__({"z": 1}),
    "clear": lambda value: value.clear(),
    "pop": lambda value: value.pop("a"),
    "pop_default": lambda value: value.pop("z", None),
    "popitem": lambda value: value.popitem(),
    "setdefault": lambda value: value.setdefault("z", 1),
    "update": lambda value: value.update(z=1),
    "attribute": lambda value: setattr(value, "z", 1),
}


@pytest.mark.parametrize("change", DICT_CHANGES.values(), ids=DICT_CHANGES)
def test_a_frozen_dict_refuses_every_change(change: Callable[[Any], object]) -> None:
    frozen = FrozenDict({"a": 1})

    with pytest.raises((TypeError, AttributeError)):
        change(frozen)

    assert frozen == {"a": 1}


LIST_CHANGES: dict[str, Callable[[Any], object]] = {
    "item": lambda value: operator.setitem(value, 0, 1),
    "slice": lambda value: operator.setitem(value, slice(0, 1), [9]),
    "del": lambda value: operator.delitem(value, 0),
    "add_operator": lambda value: value.__iadd__([3]),
    "repeat_operator": lambda value: value.__imul__(2),
    "append": lambda value: value.append(3),
    "clear": lambda value: value.clear(),
    "extend": lambda value: value.extend([3]),
    "insert": lambda value: value.insert(0, 3),
    "pop": lambda value: value.pop(),
    "remove": lambda value: value.remove(1),
    "reverse": lambda value: value.reverse(),
    "sort": lambda value: value.sort(),
    "attribute": lambda value: setattr(value, "z", 1),
}


@pytest.mark.parametrize("change", LIST_CHANGES.values(), ids=LIST_CHANGES)
def test_a_frozen_list_refuses_every_change(change: Callable[[Any], object]) -> None:
    frozen = FrozenList([2, 1])

    with pytest.raises((TypeError, AttributeError)):
        change(frozen)

    assert frozen == [2, 1]


def test_every_method_that_plain_containers_change_themselves_with_is_overridden() -> None:
    unchanging = {
        *("__class__", "__init__", "__new__", "__repr__", "__hash__", "__doc__", "__eq__"),
        *("__lt__", "__le__", "__gt__", "__ge__", "__ne__", "__iter__", "__len__", "__getitem__"),
        *("__contains__", "__reversed__", "__sizeof__", "__class_getitem__", "__getattribute__"),
        *("__add__", "__mul__", "__rmul__", "__or__", "__ror__"),
        *("copy", "count", "index", "get", "items", "keys", "values", "fromkeys"),
    }
    for frozen, plain in ((FrozenDict, dict), (FrozenList, list)):
        assert set(vars(plain)) - unchanging <= set(vars(frozen))


def test_the_error_says_what_to_do() -> None:
    with pytest.raises(TypeError, match=r"FrozenList is immutable, append .* copy"):
        FrozenList([1]).append(2)


def test_frozen_values_are_json() -> None:
    frozen = freeze(PLAIN)

    assert json.loads(json.dumps(frozen)) == PLAIN
    assert json.loads(JSONRenderer().render(frozen)) == PLAIN


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_frozen_values_stay_frozen_through_pickle(protocol: int) -> None:
    back = pickle.loads(pickle.dumps(freeze(PLAIN), protocol))  # noqa: S301 - our own bytes

    assert back == PLAIN
    assert type(back) is FrozenDict
    assert type(back["a"]) is FrozenList
    assert type(back["a"][1]) is FrozenDict


def test_a_copy_is_plain_and_a_deep_copy_is_plain_all_the_way_down() -> None:
    frozen = freeze(PLAIN)

    deep = copy.deepcopy(frozen)
    deep["a"][1]["b"] = 1
    shallow, items = copy.copy(frozen), copy.copy(frozen["a"])
    shallow["a"] = 1
    items.append(1)

    assert frozen == PLAIN
    assert type(deep) is type(deep["a"][1]) is type(shallow) is dict
    assert type(deep["a"]) is type(items) is list


def test_bytes_that_could_change_are_copied() -> None:
    assert [type(freeze(value)) for value in (bytearray(b"a"), memoryview(b"a"))] == [bytes, bytes]


def test_other_values_are_left_as_they_are() -> None:
    value = object()

    assert freeze(value) is value
