"""Declarations that cannot work: told by the checks, and of no harm to other references."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.signals import setting_changed
from django.db.backends.signals import connection_created
from django.db.models import Q
from django.db.models.signals import post_delete, post_save, pre_delete, pre_save

from refcache import InvalidReference, ReferenceCache
from refcache.connections import Place
from refcache.tiers.memory import MemoryStore
from refcache.writing.bulk import bulk_insert, bulk_write
from tests.testapp.models import Company, Customer

SIGNALS = (
    *(pre_save, post_save, pre_delete, post_delete, bulk_write, bulk_insert),
    *(connection_created, setting_changed),
)

BAD: dict[str, dict[str, Any]] = {
    "a spanned key that is unsupported": {"model": "testapp.Bargain", "fields": ["lot__name"]},
    "a key that is unsupported": {"model": "testapp.Lot", "fields": ["name"]},
    "fields that are a number": {"fields": 5},
    "fields that are used up": {"fields": iter(())},
    "a key that is a number": {"key": 5},
    "a name that is a number": {"name": 5},
    "a filter that is a Q": {"filter": Q(tier="basic")},
    "a filter that is a list": {"filter": ["tier"]},
    "a filter by a number": {"filter": {1: 2}},
    "a filter with a value of another type": {"filter": {"id": "abc"}},
    "a filter with a value for a boolean": {"filter": {"is_active": "perhaps"}},
    "a filter with a function": {"filter": {"tier": lambda: "basic"}},
    "a filter with an object": {"filter": {"tier": object()}},
    "a filter with an object in a set": {"filter": {"tier__in": {object()}}},
    "a filter with a queryset": {"filter": {"company__in": Company.objects.none()}},
    "a filter with a model instance": {"filter": {"company": Company(pk=1)}},
    "a ttl beyond all dates": {"ttl": timedelta.max},
    "a ttl of all time": {"ttl": 1e300},
    "a negative ttl beyond all dates": {"negative_ttl": timedelta.max},
}


@pytest.fixture
def registry() -> Iterator[ReferenceCache]:
    """One whose signals are disconnected in the end."""
    before = [list(signal.receivers) for signal in SIGNALS]
    yield ReferenceCache(Place(MemoryStore(), b"unit:"))
    for signal, receivers in zip(SIGNALS, before, strict=True):
        with signal.lock:
            signal.receivers = receivers
            signal.sender_receivers_cache.clear()


def register(registry: ReferenceCache, declaration: dict[str, Any]) -> None:
    registry.register(
        **{"model": "testapp.Customer", "fields": ["name"], "name": "bad"} | declaration
    )


@pytest.mark.parametrize("declaration", BAD.values(), ids=BAD)
def test_a_bad_declaration_is_told(registry: ReferenceCache, declaration: dict[str, Any]) -> None:
    register(registry, declaration)

    name = declaration.get("name", "bad")
    assert list(registry.errors) == [name]
    assert isinstance(registry.errors[name], InvalidReference)
    with pytest.raises(InvalidReference):
        registry.plan(name)


@pytest.mark.parametrize("declaration", BAD.values(), ids=BAD)
@pytest.mark.parametrize("is_first", [True, False], ids=["before", "after"])
def test_a_bad_declaration_does_not_spoil_the_others(
    registry: ReferenceCache, declaration: dict[str, Any], *, is_first: bool
) -> None:
    if is_first:
        register(registry, declaration)
    registry.register("testapp.Customer", ["name", "company__name"], name="good")
    if not is_first:
        register(registry, declaration)

    assert registry.plan("good").columns
    assert "good" not in registry.errors


@pytest.mark.parametrize("declaration", BAD.values(), ids=BAD)
def test_a_bad_declaration_stops_no_save(
    registry: ReferenceCache, declaration: dict[str, Any]
) -> None:
    register(registry, declaration)

    pre_save.send(Customer, instance=Customer(pk=1), using="default", raw=False)
    post_save.send(Customer, instance=Customer(pk=1), using="default", raw=False, created=False)


def test_fields_may_be_given_by_a_generator(registry: ReferenceCache) -> None:
    registry.register("testapp.Customer", (name for name in ["name", "tier"]), name="customer")  # type: ignore[arg-type]  # more than is promised

    assert registry.plan("customer").declaration.fields == ("name", "tier")
    assert registry.errors == {}


# Schemas


SCHEMA = """
import django
django.setup()
from refcache import ReferenceCache
registry = ReferenceCache()
registry.register("testapp.Customer", ["name"], name="c", filter={"tier__in": {"a", "b", "c", "d"}})
print(registry.plan("c").node.rows.schema)
"""


def schema(seed: int) -> str:
    """As a process with this hash seed calls it; the order of a set depends on the seed."""
    own = {"DJANGO_SETTINGS_MODULE": "tests.settings", "PYTHONHASHSEED": str(seed)}
    return subprocess.run(
        [sys.executable, "-c", SCHEMA],
        env=os.environ | own,
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def test_a_filter_with_a_set_gives_the_same_schema_in_every_process() -> None:
    assert len({schema(seed) for seed in (1, 2, 3)}) == 1


def test_sets_that_differ_give_schemas_that_differ(registry: ReferenceCache) -> None:
    for name, tiers in (("two", {"a", "b"}), ("other", {"a", "c"}), ("list", ["a", "b"])):
        registry.register("testapp.Customer", ["name"], name=name, filter={"tier__in": tiers})

    schemas = {registry.plan(name).node.rows.schema for name in registry}

    assert len(schemas) == 3


# Routers


class Fickle:
    """Answers by the moment, as a router of tenants does."""

    alias = "default"

    def db_for_read(self, *_: Any, **__: Any) -> str:
        return Fickle.alias

    db_for_write = db_for_read


def test_a_router_that_answers_differently_later_is_refused(
    registry: ReferenceCache, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DATABASE_ROUTERS = [f"{__name__}.Fickle"]
    registry.register("testapp.Customer", ["name"], name="customer")
    assert registry["customer"].alias == "default"

    monkeypatch.setattr(Fickle, "alias", "events")

    with pytest.raises(InvalidReference, match="from 'default', and now the router answers 'ev"):
        registry["customer"].get(1)
    with pytest.raises(InvalidReference):
        registry.lookup({"customer": [1]})
    monkeypatch.undo()
    assert registry["customer"].alias == "default"


def test_a_router_is_not_asked_where_the_declaration_names_the_database(
    registry: ReferenceCache, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DATABASE_ROUTERS = [f"{__name__}.Fickle"]
    registry.register("testapp.Customer", ["name"], name="customer", using="default")
    monkeypatch.setattr(Fickle, "alias", "events")

    assert registry["customer"].alias == "default"
