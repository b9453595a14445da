"""Keys at the front door: what becomes of nulls, repetitions and keys that cannot be one."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from django.db import connection, models

from refcache.core.events import Event, KeyRejected
from refcache.core.terms import Terms
from refcache.reading.answers import Keys, cast_keys
from refcache.reading.casts import key_caster, own_integers
from tests.testapp.models import Customer, Meter


def cast_with(keys: list[object], *fields: str, model: type[models.Model] = Customer) -> Any:
    found = [model._meta.get_field(name) for name in fields]
    caster = key_caster(cast("Any", found[0] if len(found) == 1 else found), connection)
    plan = SimpleNamespace(
        cast=caster,
        key_names=fields,
        integers=own_integers(cast("Any", found[0]), connection) if len(found) == 1 else (1, 0),
        declaration=SimpleNamespace(name="it"),
    )
    told: list[Event] = []
    terms = Terms(lambda: b"", lambda: b"", lambda: 0.0, told.append)
    return cast_keys(cast("Any", plan), keys, terms), told


@pytest.mark.parametrize(
    ("field", "keys", "expected"),
    [
        ("id", [3, 1, 3, "1"], [3, 1]),
        ("id", [None, 2, None], [2]),
        ("id", [True, 1.0], [1]),
        ("email", ["b", None, "a", "b"], ["b", "a"]),
    ],
)
def test_each_key_is_there_once_in_its_order(
    field: str, keys: list[object], expected: list[object]
) -> None:
    assert cast_with(keys, field) == (Keys(expected, {}), [])


def test_a_key_that_cannot_be_one_leaves_the_others_alone() -> None:
    (keys, errors), told = cast_with([7, "seven", 2**63, None, 8], "id")

    assert keys == [7, 8]
    assert list(errors) == ["seven", 2**63]
    assert [type(event) for event in told] == [KeyRejected, KeyRejected]


def test_a_composite_key_with_a_null_is_none() -> None:
    (keys, errors), told = cast_with(
        [("north", 1), ("north", None), None], "site", "number", model=Meter
    )

    assert (keys, errors, told) == ([("north", 1)], {}, [])
