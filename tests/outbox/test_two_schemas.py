"""Two tables of one name, in two schemas of PostgreSQL: a change of either is noted."""

from collections.abc import Callable, Iterator

import pytest
from django.db import models

from refcache import ReferenceCache
from refcache.outbox.triggers import uninstall
from refcache.outbox.upkeep import State, states
from tests.outbox.conftest import run_sql

pytestmark = pytest.mark.django_db(transaction=True)

Watched = Callable[..., None]
Relay = Callable[..., int]

SCHEMAS = ("north", "south")


class North(models.Model):
    name = models.CharField(max_length=50)

    class Meta:
        app_label = "testapp"
        managed = False
        db_table = 'north"."shop'


class South(models.Model):
    name = models.CharField(max_length=50)

    class Meta:
        app_label = "testapp"
        managed = False
        db_table = 'south"."shop'


@pytest.fixture
def shops(registry: ReferenceCache, watched: Watched) -> Iterator[ReferenceCache]:
    """A reference to each table; the rows of both have the same key, and are warm."""
    for schema in SCHEMAS:
        run_sql(
            "default",
            f"CREATE SCHEMA {schema}",
            f"CREATE TABLE {schema}.shop (id bigserial PRIMARY KEY, name varchar(50))",
            f"INSERT INTO {schema}.shop VALUES (1, 'old')",  # noqa: S608 - ours
        )
    try:
        registry.register(North, ["name"], name="north")
        registry.register(South, ["name"], name="south")
        watched(registry)
        assert read(registry) == {"north": "old", "south": "old"}
        yield registry
    finally:
        for schema in SCHEMAS:
            run_sql("default", f"DROP SCHEMA {schema} CASCADE")


def read(shops: ReferenceCache) -> dict[str, str]:
    return {schema: shops[schema].get_many([1])[1].name for schema in SCHEMAS}


@pytest.mark.parametrize("changed", SCHEMAS)
def test_a_change_of_either_table_is_relayed(
    shops: ReferenceCache, relay: Relay, changed: str
) -> None:
    run_sql("default", f"UPDATE {changed}.shop SET name = 'new'")  # noqa: S608 - ours

    assert relay(shops) == 1
    assert read(shops) == {"north": "old", "south": "old"} | {changed: "new"}


def test_the_triggers_of_both_tables_are_current_and_go_together(shops: ReferenceCache) -> None:
    assert states("default", shops.tables("default")) == {"shop": State.CURRENT}

    uninstall("default")

    assert State.CURRENT not in states("default", shops.tables("default")).values()


@pytest.mark.parametrize("without", SCHEMAS)
def test_a_table_whose_triggers_are_gone_is_told_of(shops: ReferenceCache, without: str) -> None:
    run_sql(
        "default",
        f"DROP TABLE {without}.shop",
        f"CREATE TABLE {without}.shop (id bigserial PRIMARY KEY, name varchar(50))",
    )

    assert states("default", shops.tables("default")) != {"shop": State.CURRENT}
