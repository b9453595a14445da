"""`keys_where`: the keys of the rows that fulfil a condition, right after any write."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.db import connection, transaction

from refcache import InvalidCondition, ReferenceCache, ReferenceUnavailable, Staleness
from refcache.querysets import ReferenceQuerySet
from refcache.reference import Reference
from tests.integration.conftest import NewRegistry
from tests.integration.watching import (
    execute_unseen,
    in_new_loop,
    in_thread,
    redis_commands,
    statements,
)
from tests.testapp.models import Company, Customer, Meter, Shelf

pytestmark = pytest.mark.django_db(transaction=True)

WHERE = ["tier", "is_active", "company__name", "name"]


@pytest.fixture
def customers(registry: ReferenceCache) -> Reference:
    registry.register("testapp.Customer", ["name"], name="listed", where=WHERE)
    return registry["listed"]


def make(tier: str = "gold", **fields: Any) -> int:
    return Customer.objects.create(name="Ann", tier=tier, **fields).pk


def test_a_list_is_loaded_once(
    customers: Reference, client: redis.Redis, new_registry: NewRegistry
) -> None:
    keys = [make(), make()]
    make("basic")
    assert customers.keys_where(tier="gold") == keys

    with statements() as sent, redis_commands(client, new_registry.prefix) as commands:
        assert customers.keys_where(tier="gold") == keys

    assert (sent, commands) == ([], ["MGET"])


def test_that_there_is_none_is_remembered_too(customers: Reference) -> None:
    assert customers.keys_where(tier="none") == []

    with statements() as sent:
        assert customers.keys_where(tier="none") == []

    assert sent == []


def test_conditions_are_joined_and_may_span(customers: Reference) -> None:
    acme = Company.objects.create(name="Acme", code="a")
    pk = make(company=acme)
    make(company=acme, is_active=False)
    make("basic", company=acme)

    assert customers.keys_where(tier="gold", is_active=True, company__name="Acme") == [pk]
    assert customers.keys_where(tier__in=["gold"], company__name__startswith="Ac") != [pk]
    assert customers.keys_where(company__name=None) == []


def test_the_filter_of_the_reference_counts(registry: ReferenceCache) -> None:
    registry.register(
        "testapp.Customer", ["name"], name="active", where=["tier"], filter={"is_active": True}
    )
    pk = make()
    gone = Customer.objects.get(pk=make())
    assert registry["active"].keys_where(tier="gold") == [pk, gone.pk]

    gone.is_active = False
    gone.save(update_fields=["is_active"])

    assert registry["active"].keys_where(tier="gold") == [pk]


def execute(sql: str, *params: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)


def unseen(row: Customer) -> None:
    execute_unseen("UPDATE testapp_customer SET tier = 'gold' WHERE id = %s", [row.pk])


WRITES: dict[str, Callable[[Customer], object]] = {
    "save": lambda row: row.save(),
    "update": lambda row: Customer.objects.filter(pk=row.pk).update(tier="gold"),
    "precise update": lambda row: ReferenceQuerySet(Customer).filter(pk=row.pk).update(tier="gold"),
    "raw": lambda row: execute("UPDATE testapp_customer SET tier = 'gold' WHERE id = %s", row.pk),
    "by hand": unseen,
}


@pytest.mark.parametrize("write", WRITES)
def test_a_row_that_enters_is_seen_at_once(customers: Reference, write: str) -> None:
    row = Customer.objects.get(pk=make("basic"))
    assert customers.keys_where(tier="gold") == []
    assert customers.keys_where(tier="basic") == [row.pk]

    row.tier = "gold"
    WRITES[write](row)
    if write == "by hand":
        customers.invalidate(row.pk)

    assert customers.keys_where(tier="gold") == [row.pk]
    assert customers.keys_where(tier="basic") == []


def test_new_and_deleted_rows_are_seen_at_once(customers: Reference) -> None:
    assert customers.keys_where(tier="gold") == []
    Customer.objects.bulk_create([Customer(name="a", tier="gold"), Customer(name="b")])
    (pk,) = customers.keys_where(tier="gold")
    Customer.objects.get(pk=str(pk)).delete()

    assert customers.keys_where(tier="gold") == []


def test_a_change_of_a_spanned_row_is_seen_at_once(customers: Reference) -> None:
    acme = Company.objects.create(name="Acme", code="a")
    pk = make(company=acme)
    assert customers.keys_where(company__name="Acme") == [pk]

    acme.name = "Ajax"
    acme.save()

    assert customers.keys_where(company__name="Acme") == []
    assert customers.keys_where(company__name="Ajax") == [pk]
    acme.delete()
    assert customers.keys_where(company__name="Ajax") == []


def test_a_write_of_other_fields_leaves_the_lists(customers: Reference) -> None:
    row = Customer.objects.get(pk=make())
    customers.keys_where(tier="gold")

    row.email = "ann@x.org"
    row.save(update_fields=["email"])
    Customer.objects.update(email=None)

    with statements() as sent:
        assert customers.keys_where(tier="gold") == [row.pk]
    assert sent == []


def test_a_transaction_sees_its_own_writes_and_others_do_not(customers: Reference) -> None:
    row = Customer.objects.get(pk=make("basic"))
    customers.keys_where(tier="gold")

    with transaction.atomic():
        row.tier = "gold"
        row.save()
        assert customers.keys_where(tier="gold") == [row.pk]
        assert in_thread(lambda: customers.keys_where(tier="gold")) == []
        transaction.set_rollback(True)

    assert customers.keys_where(tier="gold") == []
    with statements() as sent:
        customers.keys_where(tier="gold")
    assert sent == []


def test_other_keys_than_the_primary_one(registry: ReferenceCache) -> None:
    registry.register(
        "testapp.Meter", ["unit"], name="meter", key=("site", "number"), where=["unit"]
    )
    registry.register("testapp.Shelf", ["label"], name="shelf", where=["label"])
    Meter.objects.create(site="b", number=1, unit="kWh")
    Meter.objects.create(site="a", number=2, unit="kWh")
    Shelf.objects.create(hall="north", number=3, label="low")

    for _ in ("cold", "warm"):
        assert registry["meter"].keys_where(unit="kWh") == [("a", 2), ("b", 1)]
        assert registry["shelf"].keys_where(label="low") == [("north", 3)]


def test_invalidate_all_drops_the_lists(customers: Reference) -> None:
    customers.keys_where(tier="gold")
    row = Customer.objects.get(pk=make("basic"))
    customers.keys_where(tier="gold")
    unseen(row)

    customers.invalidate_all()

    assert customers.keys_where(tier="gold") == [row.pk]


def test_a_list_too_long_to_be_stored_is_right_all_the_same(
    customers: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("refcache.core.loading.LONGEST_PAYLOAD", 10)
    keys = [make() for _ in range(20)]

    for _ in range(2):
        assert customers.keys_where(tier="gold") == keys


def test_an_old_list_is_served_within_if_error_alone(registry: ReferenceCache) -> None:
    registry.register(
        "testapp.Customer",
        ["name"],
        name="old",
        where=["tier"],
        ttl=timedelta(milliseconds=1),
        staleness=Staleness(while_revalidate=60, if_error=60),
    )
    pk = make()
    assert registry["old"].keys_where(tier="gold") == [pk]
    execute_unseen("ALTER TABLE testapp_customer RENAME TO elsewhere")
    try:
        assert registry["old"].keys_where(tier="gold") == [pk]
        with pytest.raises(ReferenceUnavailable):
            registry["old"].keys_where(max_stale=0, tier="gold")
    finally:
        execute_unseen("ALTER TABLE elsewhere RENAME TO testapp_customer")
    execute_unseen("UPDATE testapp_customer SET tier = 'basic'")

    assert registry["old"].keys_where(tier="gold") == []


def test_in_an_event_loop(customers: Reference) -> None:
    pk = make()

    assert in_new_loop(customers.akeys_where(tier="gold")) == [pk]


def test_what_is_not_declared_is_refused(registry: ReferenceCache, customers: Reference) -> None:
    registry.register("testapp.Customer", ["name"], name="plain")

    with pytest.raises(InvalidCondition, match="declares no fields"):
        registry["plain"].keys_where(tier="gold")
    with pytest.raises(InvalidCondition, match="'email' is no declared field"):
        customers.keys_where(email="a@x.org")


@pytest.mark.parametrize(
    ("where", "told"),
    [
        (["nothing"], "has no field 'nothing'"),
        (["by_code__name"], "has no field 'by_code'"),
        ("tier", "no list of field names"),
    ],
)
def test_a_declaration_that_cannot_work_says_why(
    registry: ReferenceCache, where: Any, told: str
) -> None:
    registry.register("testapp.Customer", ["name"], name="wrong", where=where)

    assert told in str(registry.errors["wrong"])
