"""What register() may be told, and what is said of anything else."""

from datetime import timedelta
from typing import Any

import pytest

from refcache import InvalidReference, ReferenceCache, Staleness
from refcache.declaration import Declaration, declare
from tests.testapp.models import Customer

GIVEN: dict[str, Any] = {
    "label": "testapp.Customer",
    "name": "customer",
    "fields": ["name"],
    "key": "pk",
    "ttl": 300,
    "negative_ttl": 30,
    "local_ttl": 0,
}


def test_what_is_left_out_has_its_default() -> None:
    declared = declare(**GIVEN)

    assert declared == Declaration("testapp.Customer", "customer", ("name",))
    assert declared.is_by_primary_key


def test_durations_are_seconds_or_timedeltas() -> None:
    declared = declare(**GIVEN | {"ttl": timedelta(minutes=1), "negative_ttl": 0})

    assert (declared.ttl, declared.negative_ttl) == (60.0, 0.0)


def test_a_key_is_a_name_or_several() -> None:
    assert declare(**GIVEN | {"key": "email"}).key == ("email",)
    assert declare(**GIVEN | {"key": ["site", "number"]}).key == ("site", "number")
    assert not declare(**GIVEN | {"key": "email"}).is_by_primary_key


def test_names_may_come_from_any_iterable() -> None:
    declared = declare(**GIVEN | {"fields": (name for name in ["name", "tier"])})

    assert declared.fields == ("name", "tier")


WRONG: dict[str, list[Any]] = {
    "fields": ["name", [], [1], None, 7],
    "key": [[], None, 7, ("site", 1)],
    "name": ["", "Customer", "cust omer", "a:b", "~a", "ü", 7],
    "ttl": [0, -1, None, "long", True, float("inf"), float("nan")],
    "negative_ttl": [-1, None, "long"],
    "local_ttl": [-1, "long"],
    "version": [-1, 2**32, "one", 1.5, True],
    "staleness": [60, "sixty"],
    "missing": [{"name": "?"}, "Unknown"],
    "filter": ["is_active", ["is_active"], {1: 2}],
    "strict": ["yes", 2],
    "watch_sql": ["no", 2],
}


@pytest.mark.parametrize(
    ("parameter", "value"), [(name, value) for name, values in WRONG.items() for value in values]
)
def test_a_value_of_the_wrong_kind_is_refused(parameter: str, value: object) -> None:
    with pytest.raises(InvalidReference) as caught:
        declare(**GIVEN | {parameter: value})

    assert repr(value) in str(caught.value) or "has ttl=0" in str(caught.value)


@pytest.mark.parametrize("soft", [2, 3])
def test_a_soft_timeout_that_never_comes_first_is_refused(soft: float) -> None:
    with pytest.raises(InvalidReference, match="Give a soft_timeout below load_timeout"):
        declare(**GIVEN | {"soft_timeout": soft, "load_timeout": 2})


@pytest.mark.parametrize("staleness", [Staleness(), Staleness(while_revalidate=60, if_error=3600)])
def test_staleness_is_taken_as_it_is(staleness: Staleness) -> None:
    assert declare(**GIVEN | {"staleness": staleness}).staleness == staleness


@pytest.mark.parametrize(
    ("declared", "setting", "expected"),
    [(None, False, False), (None, True, True), (False, True, False), (True, False, True)],
)
def test_strict_is_as_the_settings_say_unless_declared(
    settings: Any, *, declared: bool | None, setting: bool, expected: bool
) -> None:
    settings.REFCACHE = {"STRICT": setting}

    assert declare(**GIVEN | {"strict": declared}).is_strict is expected


def test_the_name_is_the_models_label_unless_there_is_another() -> None:
    registry = ReferenceCache()
    registry.register(Customer, ["name"])
    registry.register("testapp.Customer", ["name"], name="other")

    assert list(registry) == ["testapp.customer", "other"]
    assert len(registry) == 2
    assert "other" in registry


@pytest.mark.parametrize(
    "wrong",
    [
        {"fields": None},
        {"ttl": "x"},
        {"name": "A B"},
        {"model": "nope"},
        {"model": "testapp.Nope"},
        {"model": "a.b.c"},
        {"version": None, "key": 5},
    ],
)
def test_nothing_that_is_wrong_raises_where_it_is_registered(wrong: dict[str, Any]) -> None:
    registry = ReferenceCache()

    registry.register(**{"model": "testapp.Customer", "fields": ["name"], "name": "it"} | wrong)

    (error,) = registry.errors.values()
    with pytest.raises(InvalidReference) as caught:
        registry[wrong.get("name", "it")].get(1)
    assert str(caught.value) == str(error)


def test_a_name_is_given_once() -> None:
    registry = ReferenceCache()
    registry.register("testapp.Customer", ["name"], name="customer")
    registry.register("testapp.Device", ["serial"], name="customer")

    assert "registered twice" in str(registry.errors["customer"])


def test_a_reference_may_be_declared_again_as_it_is() -> None:
    registry = ReferenceCache()
    for _ in range(2):  # As `ready()` is called again where a test changes INSTALLED_APPS.
        registry.register(
            "testapp.Customer", ["name"], name="customer", missing=lambda key: {"name": str(key)}
        )

    assert registry.errors == {}
