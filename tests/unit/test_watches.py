"""Which tables a database has for those who watch it."""

import pytest
from django.db import connections

from refcache import ReferenceCache


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> ReferenceCache:
    """Of two servers, whose databases have the same name."""
    name = connections["default"].settings_dict["NAME"]
    monkeypatch.setitem(connections["events"].settings_dict, "NAME", name)
    registry = ReferenceCache()
    registry.register("testapp.Customer", ["name"], name="customer", using="default")
    registry.register("testapp.OrderEvent", ["amount"], name="event", using="events")
    return registry


def test_databases_of_one_name_on_two_servers_are_two(registry: ReferenceCache) -> None:
    assert set(registry.tables("default")) == {"testapp_customer"}
    assert set(registry.tables("events")) == {"testapp_orderevent"}


def test_what_may_be_the_same_database_has_the_tables_of_both(registry: ReferenceCache) -> None:
    both = {"testapp_customer", "testapp_orderevent"}

    assert set(registry.tables("default", alike=True)) == both
    assert set(registry.tables("events", alike=True)) == both
    assert registry.aliases() == ["default", "events"]
