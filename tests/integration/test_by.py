"""`by`: rows by further unique fields."""

from typing import Any

import pytest
import redis

from refcache import InvalidCondition, ReferenceCache
from refcache.reference import Reference
from tests.integration.conftest import NewRegistry
from tests.integration.watching import (
    execute_unseen,
    in_new_loop,
    redis_commands,
    statements,
    update_unseen,
)
from tests.testapp.models import Company, Customer, Meter

pytestmark = pytest.mark.django_db(transaction=True)


# A row's payload is its snapshot, has further columns, or is put together of several rows.
@pytest.fixture(params=[["name", "email"], ["name"], ["name", "company__name"]], ids=str)
def customers(registry: ReferenceCache, request: pytest.FixtureRequest) -> Reference:
    registry.register("testapp.Customer", request.param, name="found", by=["email"])
    return registry["found"]


def test_rows_are_found_by_a_further_field(customers: Reference) -> None:
    acme = Company.objects.create(name="Acme", code="a")
    ann = Customer.objects.create(name="Ann", email="ann@x.org", company=acme)

    for _ in ("cold", "warm"):
        found = customers.by("email", ["none@x.org", "ann@x.org", None])

        assert list(found) == ["ann@x.org"]
        assert found["ann@x.org"] == customers.get(ann.pk)
        assert found["ann@x.org"].key == ann.pk


def test_warm_it_is_one_round_trip_more_and_no_query(
    customers: Reference, client: redis.Redis, new_registry: NewRegistry
) -> None:
    Customer.objects.create(name="Ann", email="ann@x.org")
    customers.by("email", ["ann@x.org", "none@x.org"])

    with statements() as sent, redis_commands(client, new_registry.prefix) as commands:
        customers.by("email", ["ann@x.org", "none@x.org"])

    assert (sent, commands) == ([], ["MGET", "MGET"])


def test_a_row_is_found_by_its_new_value_alone(customers: Reference) -> None:
    ann = Customer.objects.create(name="Ann", email="old@x.org")
    assert customers.by("email", ["old@x.org", "new@x.org"]).keys() == {"old@x.org"}

    ann.email = "new@x.org"
    ann.save()

    assert customers.by("email", ["old@x.org", "new@x.org"]).keys() == {"new@x.org"}
    Customer.objects.update(email="newer@x.org")
    assert customers.by("email", ["new@x.org", "newer@x.org"]).keys() == {"newer@x.org"}
    ann.delete()
    assert customers.by("email", ["newer@x.org"]) == {}


def test_invalidate_drops_what_leads_to_the_row(customers: Reference) -> None:
    ann = Customer.objects.create(name="Ann", email="old@x.org")
    customers.by("email", ["old@x.org", "new@x.org"])
    update_unseen(Customer.objects.all(), email="new@x.org")

    customers.invalidate(ann.pk)

    assert customers.by("email", ["old@x.org", "new@x.org"]).keys() == {"new@x.org"}


def test_fields_that_are_unique_together(registry: ReferenceCache) -> None:
    registry.register("testapp.Meter", ["unit"], name="meter", by=[("site", "number")])
    meter = Meter.objects.create(site="a", number=7, unit="kWh")

    found = registry["meter"].by(("site", "number"), [("a", "7"), ("a", 8)])

    assert {key: row.key for key, row in found.items()} == {("a", 7): meter.pk}


def test_a_reference_by_another_key_keeps_it(registry: ReferenceCache) -> None:
    registry.register("testapp.Company", ["name"], name="company", key="code", by=["id"])
    assert "primary key" in str(registry.errors["company"])
    registry.register("testapp.Customer", ["name"], name="mail", key="email", by=["email"])
    assert "is its key" in str(registry.errors["mail"])


def test_in_an_event_loop(customers: Reference) -> None:
    ann = Customer.objects.create(name="Ann", email="ann@x.org")

    found = in_new_loop(customers.aby("email", ["ann@x.org"]))

    assert found["ann@x.org"].key == ann.pk


def test_an_unseen_write_of_the_value_is_noticed_on_the_row(customers: Reference) -> None:
    """An index entry is a hint: the row says whether it still has the value."""
    ann = Customer.objects.create(name="Ann", email="old@x.org")
    customers.by("email", ["old@x.org"])
    execute_unseen("UPDATE testapp_customer SET email = 'new@x.org'")
    customers.warm([ann.pk])

    assert customers.by("email", ["old@x.org"]) == {}


@pytest.mark.parametrize(
    ("by", "told"),
    [
        (["name"], "does not identify a row"),
        (["nothing"], "has no field 'nothing'"),
        ("email", "is no list of keys"),
        ([7], "no list of field names"),
    ],
)
def test_a_declaration_that_cannot_work_says_why(
    registry: ReferenceCache, by: Any, told: str
) -> None:
    registry.register("testapp.Customer", ["name"], name="wrong", by=by)

    assert told in str(registry.errors["wrong"])


def test_what_is_not_declared_is_refused(customers: Reference) -> None:
    with pytest.raises(InvalidCondition, match=r"cannot be searched by 'name'.*declared: email"):
        customers.by("name", ["Ann"])
