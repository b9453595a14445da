"""Rows by another key than a plain primary one: composite keys, unique fields, and both."""

import pytest
import redis
from django.db import transaction

from refcache import InvalidKey, InvalidReference, ReferenceCache
from refcache.reference import Reference
from tests.integration.conftest import NewRegistry
from tests.integration.watching import execute_unseen, statements, update_unseen
from tests.testapp.models import Customer, Meter, Shelf

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def by_email(registry: ReferenceCache) -> Reference:
    registry.register("testapp.Customer", ["name"], name="mail", key="email")
    return registry["mail"]


@pytest.fixture
def meters(registry: ReferenceCache) -> Reference:
    registry.register("testapp.Meter", ["unit"], name="meter", key=("site", "number"))
    return registry["meter"]


@pytest.fixture
def shelves(registry: ReferenceCache) -> Reference:
    registry.register("testapp.Shelf", ["label"], name="shelf")
    return registry["shelf"]


def test_a_row_is_found_by_a_unique_field(by_email: Reference) -> None:
    Customer.objects.create(name="Ann", email="ann@x.org")

    for _ in ("cold", "warm"):
        found = by_email.get_many(["ann@x.org", "none@x.org", None])

        assert {key: row.name for key, row in found.items()} == {"ann@x.org": "Ann"}
        assert found["ann@x.org"].key == "ann@x.org"


def test_a_warm_read_by_a_unique_field_asks_no_database(by_email: Reference) -> None:
    Customer.objects.create(name="Ann", email="ann@x.org")
    by_email.get_many(["ann@x.org", "none@x.org"])

    with statements() as sent:
        found = by_email.lookup(["ann@x.org", "none@x.org"])

    assert sent == []
    assert found.provenance("ann@x.org").tier == "redis"
    assert found.provenance("none@x.org").absent


def test_a_row_that_changed_its_key_is_found_under_the_new_one_only(by_email: Reference) -> None:
    ann = Customer.objects.create(name="Ann", email="old@x.org")
    assert by_email.get_many(["old@x.org", "new@x.org"]).keys() == {"old@x.org"}

    ann.email = "new@x.org"
    ann.save()

    for _ in ("cold", "warm"):
        assert by_email.get_many(["old@x.org", "new@x.org"]).keys() == {"new@x.org"}


def test_a_key_may_move_to_another_row(by_email: Reference) -> None:
    ann = Customer.objects.create(name="Ann", email="one@x.org")
    bob = Customer.objects.create(name="Bob", email="two@x.org")
    by_email.get_many(["one@x.org", "two@x.org"])

    with transaction.atomic():
        ann.email = None
        ann.save()
        bob.email = "one@x.org"
        bob.save()
        ann.email = "two@x.org"
        ann.save()

    found = by_email.get_many(["one@x.org", "two@x.org"])
    assert {key: row.name for key, row in found.items()} == {
        "one@x.org": "Bob",
        "two@x.org": "Ann",
    }


def test_an_index_entry_is_only_a_hint(
    by_email: Reference, new_registry: NewRegistry, client: redis.Redis
) -> None:
    ann = Customer.objects.create(name="Ann", email="old@x.org")
    by_email.get("old@x.org")
    (index,) = client.scan_iter(new_registry.prefix + b"*:@email=*")
    hint = client.get(index)
    assert hint is not None
    ann.email = "new@x.org"
    ann.save()
    Customer.objects.create(name="Bob", email="old@x.org")
    by_email.get("new@x.org")
    client.set(index, hint)

    found = by_email.get("old@x.org")

    assert found is not None
    assert found.name == "Bob"


def test_a_new_row_replaces_a_remembered_absence(by_email: Reference) -> None:
    assert by_email.get("ann@x.org") is None

    Customer.objects.create(name="Ann", email="ann@x.org")

    assert by_email.get_many(["ann@x.org"])["ann@x.org"].name == "Ann"


def test_a_deleted_row_is_absent_under_its_other_key(by_email: Reference) -> None:
    ann = Customer.objects.create(name="Ann", email="ann@x.org")
    by_email.get("ann@x.org")

    ann.delete()

    assert by_email.get("ann@x.org") is None


INSERT_BOB = (
    "INSERT INTO testapp_customer (name, tier, email, is_active) "
    "VALUES ('Bob', 'basic', 'bob@x.org', true)"
)


def test_rows_are_invalidated_by_their_other_key(by_email: Reference) -> None:
    Customer.objects.create(name="Ann", email="ann@x.org")
    by_email.get("ann@x.org")
    by_email.get("bob@x.org")
    update_unseen(Customer.objects.filter(email="ann@x.org"), name="Bea")
    execute_unseen(INSERT_BOB)

    by_email.invalidate("ann@x.org", "bob@x.org", None)

    found = by_email.get_many(["ann@x.org", "bob@x.org"])
    assert [row.name for row in found.values()] == ["Bea", "Bob"]


def test_rows_are_invalidated_by_their_other_key_inside_a_transaction(by_email: Reference) -> None:
    ann = Customer.objects.create(name="Ann", email="ann@x.org")
    by_email.get_many(["ann@x.org", "bob@x.org"])

    with transaction.atomic():
        update_unseen(Customer.objects.filter(pk=ann.pk), email="old@x.org")
        execute_unseen(INSERT_BOB)
        by_email.invalidate("ann@x.org", "bob@x.org")

    found = by_email.get_many(["ann@x.org", "bob@x.org"])
    assert {key: row.name for key, row in found.items()} == {"bob@x.org": "Bob"}


def test_two_columns_identify_a_row(meters: Reference) -> None:
    Meter.objects.create(site="north", number=1, unit="kWh")
    Meter.objects.create(site="north", number=2, unit="m3")

    for _ in ("cold", "warm"):
        found = meters.get_many(
            [("north", 2), ["north", "1"], ("north", "2"), ("south", 1), ("north", None)]
        )

        assert {key: row.unit for key, row in found.items()} == {
            ("north", 2): "m3",
            ("north", 1): "kWh",
        }
    one = meters.get(("north", 1))
    assert one is not None
    assert one.key == ("north", 1)
    assert meters.get((None, 1)) is None


def test_parts_of_a_key_cannot_be_confused_with_each_other(meters: Reference) -> None:
    for site in ("a,1", "a", "a%2C1", "a:1", "@a"):
        Meter.objects.create(site=site, number=1, unit=site)
    asked = [(site, 1) for site in ("a,1", "a", "a%2C1", "a:1", "@a")]

    for _ in ("cold", "warm"):
        assert [row.unit for row in meters.get_many(asked).values()] == [key[0] for key in asked]


@pytest.mark.parametrize("key", [("north",), ("north", 1, 2), "north", ("north", "x"), 7])
def test_a_tuple_that_does_not_fit_is_no_key(meters: Reference, key: object) -> None:
    with pytest.raises(InvalidKey):
        meters.get(key)


def test_many_composite_keys_are_read_in_chunks_of_a_hundred(meters: Reference) -> None:
    Meter.objects.bulk_create(Meter(site="s", number=n, unit=str(n)) for n in range(150))

    with statements() as sent:
        found = meters.get_many([("s", n) for n in range(150)])

    assert [row.unit for row in found.values()] == [str(n) for n in range(150)]
    assert len(sent) == 3  # the index in two chunks, the rows in one


def test_a_meter_that_moves_is_found_at_its_new_place_only(meters: Reference) -> None:
    meter = Meter.objects.create(site="north", number=1, unit="kWh")
    meters.get(("north", 1))

    meter.site = "south"
    meter.save()

    assert list(meters.get_many([("north", 1), ("south", 1)])) == [("south", 1)]


def test_a_primary_key_may_have_two_columns(shelves: Reference) -> None:
    Shelf.objects.create(hall="A", number=1, label="left")
    Shelf.objects.create(hall="A", number=2, label="right")

    for _ in ("cold", "warm"):
        found = shelves.get_many([("A", 2), ["A", "1"], ("B", 1)])

        assert {key: row.label for key, row in found.items()} == {
            ("A", 2): "right",
            ("A", 1): "left",
        }
        assert found["A", 1].key == ("A", 1)


def test_a_write_reaches_a_row_with_two_key_columns(shelves: Reference) -> None:
    shelf = Shelf.objects.create(hall="A", number=1, label="left")
    shelves.get(("A", 1))

    shelf.label = "up"
    shelf.save()

    assert shelves.get_many([("A", 1)])["A", 1].label == "up"

    shelf.delete()

    assert shelves.get(("A", 1)) is None


def test_the_parts_of_a_primary_key_may_be_named(registry: ReferenceCache) -> None:
    registry.register("testapp.Shelf", ["label"], name="shelf", key=("hall", "number"))
    Shelf.objects.create(hall="A", number=1, label="left")

    with statements() as sent:
        assert registry["shelf"].get(("A", 1))

    assert len(sent) == 1


def test_a_key_that_does_not_identify_a_row_is_refused(registry: ReferenceCache) -> None:
    registry.register("testapp.Customer", ["name"], name="bad", key="tier")

    with pytest.raises(InvalidReference, match="tier does not identify a row"):
        registry["bad"].get("basic")
