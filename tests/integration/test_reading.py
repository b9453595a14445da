"""What a reference answers, on real Redis and real PostgreSQL."""

import logging
from typing import Any
from uuid import UUID

import pytest
import redis

from refcache import (
    InvalidKey,
    InvalidReference,
    MissingRows,
    ReferenceCache,
    UnknownReference,
)
from refcache.core.events import CorruptEntry, KeyRejected, RowsLoaded
from refcache.reference import Reference
from tests.integration.conftest import NewRegistry
from tests.integration.watching import in_new_loop, statements
from tests.testapp.models import (
    Cafe,
    Company,
    Currency,
    Customer,
    Device,
    Document,
    OrderEvent,
    Place,
    VipCustomer,
)

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "events"])

NO_SUCH_ID = 10**9


@pytest.fixture
def customers(registry: ReferenceCache) -> Reference:
    registry.register(
        "testapp.Customer",
        ["name", "tier"],
        name="customer",
        missing=lambda key: {"name": f"Unknown ({key})"},
    )
    return registry["customer"]


def make_customers(*names: str) -> list[int]:
    return [Customer.objects.create(name=name).pk for name in names]


def test_a_snapshot_holds_the_declared_fields_and_the_key(customers: Reference) -> None:
    (pk,) = make_customers("Ann")

    found = customers.get(pk)

    assert found is not None
    assert (found.key, found.name, found["tier"]) == (pk, "Ann", "basic")
    assert found.as_dict() == {"name": "Ann", "tier": "basic"}


def test_a_warm_read_equals_the_cold_one(customers: Reference) -> None:
    pks = make_customers("Ann", "Bob")

    cold, warm = customers.get_many(pks), customers.get_many(pks)

    assert cold == warm
    assert customers.lookup(pks).provenance(pks[0]).tier == "redis"


def test_a_row_that_is_missing_is_none(customers: Reference) -> None:
    assert customers.get(NO_SUCH_ID) is None
    assert customers.get(NO_SUCH_ID) is None


def test_known_absence_is_not_asked_again(customers: Reference) -> None:
    customers.get(NO_SUCH_ID)

    with statements() as sent:
        assert customers.get(NO_SUCH_ID) is None

    assert sent == []


def test_an_absence_is_asked_again_where_it_is_not_remembered(registry: ReferenceCache) -> None:
    registry.register("testapp.Customer", ["name"], name="customer", negative_ttl=0)
    registry["customer"].get(NO_SUCH_ID)

    with statements() as sent:
        assert registry["customer"].get(NO_SUCH_ID) is None

    assert len(sent) == 1


def test_get_many_keeps_the_order_and_leaves_absent_keys_out(customers: Reference) -> None:
    a, b, c = make_customers("Ann", "Bob", "Cyd")

    for _ in ("cold", "warm"):
        found = customers.get_many([c, NO_SUCH_ID, a, b])

        assert [(key, row.name) for key, row in found.items()] == [
            (c, "Cyd"),
            (a, "Ann"),
            (b, "Bob"),
        ]


def test_spellings_of_one_key_are_one(customers: Reference) -> None:
    (pk,) = make_customers("Ann")

    with statements() as sent:
        found = customers.get_many([str(pk), pk, f" {pk} "])

    assert list(found) == [pk]
    assert len(sent) == 1
    assert customers.lookup([pk])[str(pk)].name == "Ann"
    assert customers.get(str(pk)) == found[pk]


def test_a_null_key_is_no_lookup(customers: Reference) -> None:
    with statements() as sent:
        assert customers.get(None) is None
        assert customers.get_many([None, None]) == {}
        assert dict(customers.lookup([None])) == {}

    assert sent == []


def test_no_keys_are_no_work(registry: ReferenceCache, customers: Reference) -> None:
    with statements() as sent:
        assert customers.get_many([]) == {}
        assert registry.lookup({"customer": [], "customer": []})["customer"] == {}  # noqa: F601

    assert sent == []


def test_a_key_that_cannot_be_one_raises_alone(customers: Reference) -> None:
    with pytest.raises(InvalidKey, match=r"'abc' is not a key of testapp\.Customer\.id"):
        customers.get("abc")


def test_a_key_that_cannot_be_one_does_not_spoil_the_others(
    registry: ReferenceCache, customers: Reference, caplog: pytest.LogCaptureFixture
) -> None:
    pk, other = make_customers("Ann", "Bob")

    with caplog.at_level(logging.DEBUG, "refcache"):
        found = customers.lookup([other, "abc", pk, 2**70, ["unhashable"], str(other)])

    assert list(found) == [other, pk]
    assert list(found.errors) == ["abc", 2**70, "['unhashable']"]
    assert list(customers.get_many(["abc", pk])) == [pk]
    assert registry.counts.of(KeyRejected, "customer") == 4
    assert "'abc' is not a key" in caplog.text


def test_lookup_puts_the_declared_placeholder(customers: Reference) -> None:
    found = customers.lookup([NO_SUCH_ID])[NO_SUCH_ID]

    assert not found
    assert found.is_placeholder
    assert (found.key, found.name, found.tier) == (NO_SUCH_ID, f"Unknown ({NO_SUCH_ID})", None)
    assert found == customers.placeholder(NO_SUCH_ID)


def test_an_undeclared_placeholder_has_nothing_in_it(registry: ReferenceCache) -> None:
    registry.register("testapp.Customer", ["name"], name="customer")

    found = registry["customer"].lookup([NO_SUCH_ID])[NO_SUCH_ID]

    assert found.is_placeholder
    assert found.name is None


def test_a_placeholder_with_a_field_that_is_not_declared_is_an_error(
    registry: ReferenceCache,
) -> None:
    registry.register(
        "testapp.Customer", ["name"], missing=lambda _: {"nmae": "?"}, name="customer"
    )

    with pytest.raises(InvalidReference, match="'nmae'"):
        registry["customer"].lookup([NO_SUCH_ID])


def test_on_missing_says_what_an_absent_row_gives(customers: Reference) -> None:
    (pk,) = make_customers("Ann")

    assert list(customers.lookup([pk, NO_SUCH_ID], on_missing="omit")) == [pk]
    assert customers.get_many([pk, NO_SUCH_ID], on_missing="placeholder")[NO_SUCH_ID].is_placeholder
    assert not customers.get(NO_SUCH_ID, on_missing="placeholder")
    with pytest.raises(MissingRows) as caught:
        customers.get_many([NO_SUCH_ID + 1, pk, NO_SUCH_ID], on_missing="raise")
    assert caught.value.keys == [NO_SUCH_ID + 1, NO_SUCH_ID]
    assert caught.value.reference == "customer"
    with pytest.raises(MissingRows):
        customers.get(NO_SUCH_ID, on_missing="raise")


def test_lookup_says_where_each_answer_came_from(customers: Reference) -> None:
    a, b = make_customers("Ann", "Bob")
    customers.get_many([a, NO_SUCH_ID])

    found = customers.lookup([a, b, NO_SUCH_ID])

    assert found.provenance(a).tier == "redis"
    assert 0 <= found.provenance(a).age < 60
    assert found.provenance(b).tier == "database"
    assert found.provenance(b).age == 0
    assert not found.provenance(str(b)).absent
    assert found.provenance(NO_SUCH_ID).absent
    assert found.provenance(NO_SUCH_ID).tier == "redis"
    for other in (NO_SUCH_ID + 1, "abc", None):
        with pytest.raises(KeyError):
            found.provenance(other)


def test_lookup_is_a_mapping(customers: Reference) -> None:
    (pk,) = make_customers("Ann")

    found = customers.lookup([pk])

    assert found == {pk: customers.get(pk)}
    assert len(found) == 1
    assert pk in found
    assert "abc" not in found
    assert found.get("abc") is None
    with pytest.raises(KeyError):
        found["abc"]


@pytest.mark.usefixtures("customers")
def test_several_references_are_looked_up_at_once(registry: ReferenceCache) -> None:
    registry.register("testapp.Device", ["serial"], name="device")
    device = Device.objects.create(id=UUID(int=7), serial="S7")
    (pk,) = make_customers("Ann")

    found = registry.lookup({"device": [str(device.pk), None], "customer": [pk, NO_SUCH_ID]})

    assert list(found) == ["device", "customer"]
    assert found["device"][device.pk].serial == "S7"
    assert found["customer"][pk].name == "Ann"
    assert found["customer"][NO_SUCH_ID].is_placeholder
    assert (
        NO_SUCH_ID not in registry.lookup({"customer": [NO_SUCH_ID]}, on_missing="omit")["customer"]
    )


@pytest.mark.usefixtures("customers")
def test_one_model_may_have_several_references(registry: ReferenceCache) -> None:
    registry.register("testapp.Customer", ["tier"], name="tier")
    (pk,) = make_customers("Ann")

    found = registry.lookup({"customer": [pk], "tier": [pk]})

    assert found["customer"][pk].as_dict() == {"name": "Ann", "tier": "basic"}
    assert found["tier"][pk].as_dict() == {"tier": "basic"}


def test_an_unknown_reference_is_named_with_those_that_are_known(
    registry: ReferenceCache, customers: Reference
) -> None:
    assert customers.name in registry
    for ask in (
        lambda: registry["custmer"],
        lambda: registry.lookup({"custmer": [1]}),
        lambda: registry.attach([{"id": 1}], custmer="id"),
    ):
        with pytest.raises(UnknownReference, match=r"'custmer' .* \(known: customer\)"):
            ask()


def test_a_declaration_that_cannot_work_raises_where_it_is_used(registry: ReferenceCache) -> None:
    registry.register("testapp.Customer", ["nope"], name="bad")
    registry.register("testapp.Customer", ["name"], name="good")

    with pytest.raises(InvalidReference, match="no field 'nope'"):
        registry["bad"].get(1)

    assert registry["good"].get(NO_SUCH_ID) is None


def test_every_read_has_an_async_twin(registry: ReferenceCache, customers: Reference) -> None:
    a, b = make_customers("Ann", "Bob")

    async def read() -> dict[str, Any]:
        return {
            "one": await customers.aget(a),
            "many": await customers.aget_many([b, a, NO_SUCH_ID]),
            "lookup": dict(await customers.alookup([a, NO_SUCH_ID])),
            "several": dict((await registry.alookup({"customer": [b]}))["customer"]),
            "rows": await registry.aattach([{"customer_id": b}], customer="customer_id"),
        }

    for _ in ("cold", "warm"):
        found = in_new_loop(read())

        assert found == {
            "one": customers.get(a),
            "many": customers.get_many([b, a]),
            "lookup": dict(customers.lookup([a, NO_SUCH_ID])),
            "several": customers.get_many([b]),
            "rows": [{"customer_id": b, "customer": customers.get(b)}],
        }


def test_async_reads_and_invalidations_meet_the_same_entries(customers: Reference) -> None:
    (pk,) = make_customers("Ann")
    customers.get(pk)

    async def change() -> Any:
        await Customer.objects.filter(pk=pk).aupdate(name="Bea")
        await customers.ainvalidate(pk)
        first = await customers.aget(pk)
        await Customer.objects.filter(pk=pk).aupdate(name="Cyd")
        await customers.ainvalidate_all()
        return first, await customers.aget(pk)

    first, second = in_new_loop(change())

    assert (first.name, second.name) == ("Bea", "Cyd")


def test_rows_outside_the_filter_count_as_absent(registry: ReferenceCache) -> None:
    registry.register("testapp.Customer", ["name"], name="active", filter={"is_active": True})
    active = registry["active"]
    on = Customer.objects.create(name="On")
    off = Customer.objects.create(name="Off", is_active=False)
    assert list(active.get_many([on.pk, off.pk])) == [on.pk]

    on.is_active, off.is_active = False, True
    on.save()
    off.save()

    assert list(active.get_many([on.pk, off.pk])) == [off.pk]


def test_keys_are_read_in_chunks(registry: ReferenceCache, settings: Any) -> None:
    settings.REFCACHE = settings.REFCACHE | {"CHUNK_SIZE": 3}
    registry.register("testapp.Customer", ["name"], name="customer")
    pks = make_customers(*"abcdefgh")

    with statements() as sent:
        found = registry["customer"].get_many(pks)

    assert [row.name for row in found.values()] == list("abcdefgh")
    assert len(sent) == 3


def test_rows_are_read_from_the_alias_that_writes_go_to(registry: ReferenceCache) -> None:
    registry.register("testapp.OrderEvent", ["amount"], name="event")
    event = OrderEvent.objects.create(amount=5)

    with statements("default") as here, statements("events") as there:
        found = registry["event"].get(event.pk)

    assert found is not None
    assert found.amount == 5
    assert (len(here), len(there)) == (0, 1)


def test_using_names_the_alias(registry: ReferenceCache) -> None:
    registry.register("testapp.Customer", ["name"], name="customer", using="default")
    (pk,) = make_customers("Ann")

    with statements("default") as here, statements("events") as there:
        assert registry["customer"].get(pk)

    assert (len(here), len(there)) == (1, 0)


def test_a_child_row_is_one_with_its_parents_columns(registry: ReferenceCache) -> None:
    registry.register("testapp.Cafe", ["name", "seats"], name="cafe")
    registry.register("testapp.Place", ["name"], name="place")
    cafe = Cafe.objects.create(name="Corner", seats=4)
    place = Place.objects.create(name="Park")

    assert registry["cafe"].get_many([cafe.pk, place.pk])[cafe.pk].as_dict() == {
        "name": "Corner",
        "seats": 4,
    }
    assert registry["place"].get(cafe.pk) == registry["place"].get(str(cafe.pk))

    Place.objects.get(pk=cafe.pk).delete()

    assert registry["cafe"].get(cafe.pk) is None
    assert registry["place"].get(cafe.pk) is None


def test_a_write_of_the_parent_reaches_the_child_and_the_other_way_round(
    registry: ReferenceCache,
) -> None:
    registry.register("testapp.Cafe", ["name", "seats"], name="cafe")
    registry.register("testapp.Place", ["name"], name="place")
    cafe = Cafe.objects.create(name="Corner", seats=4)

    def names() -> set[str]:
        found = [registry[each].get(cafe.pk) for each in ("cafe", "place")]
        return {row.name for row in found if row}

    assert names() == {"Corner"}

    parent = Place.objects.get(pk=cafe.pk)
    parent.name = "Renamed"
    parent.save()

    assert names() == {"Renamed"}

    cafe.name = "Again"
    cafe.save()

    assert names() == {"Again"}


def test_a_proxy_shares_rows_and_writes(registry: ReferenceCache) -> None:
    registry.register(VipCustomer, ["name"], name="vip")
    registry.register(Customer, ["name"], name="customer")
    (pk,) = make_customers("Ann")
    assert registry["vip"].get(pk) == registry["vip"].get(pk)

    vip = VipCustomer.objects.get(pk=pk)
    vip.name = "Bea"
    vip.save()

    for name in ("vip", "customer"):
        assert registry[name].get(pk)["name"] == "Bea"  # type: ignore[index]  # it is there

    customer = Customer.objects.get(pk=pk)
    customer.name = "Cyd"
    customer.save()

    for name in ("vip", "customer"):
        assert registry[name].get(pk)["name"] == "Cyd"  # type: ignore[index]  # it is there


def test_a_write_of_a_proxy_reaches_a_reference_of_what_it_stands_for(
    customers: Reference,
) -> None:
    (pk,) = make_customers("Ann")
    customers.get(pk)

    VipCustomer(pk=pk, name="Bea").save()
    found = customers.get(pk)
    assert found is not None
    assert found.name == "Bea"

    VipCustomer.objects.filter(pk=pk).delete()
    assert customers.get(pk) is None


def test_a_write_of_what_a_proxy_stands_for_reaches_its_reference(
    registry: ReferenceCache,
) -> None:
    registry.register(VipCustomer, ["name"], name="vip")
    (pk,) = make_customers("Ann")
    registry["vip"].get(pk)

    Customer(pk=pk, name="Bea").save()

    assert registry["vip"].get_many([pk])[pk].name == "Bea"


def test_a_natural_key_is_taken_as_it_is(registry: ReferenceCache) -> None:
    registry.register(Currency, ["name"], name="currency")
    odd = "Ä:%@ \n"
    Currency.objects.create(code=odd, name="Odd")
    Currency.objects.create(code="7", name="Seven")

    for _ in ("cold", "warm"):
        found = registry["currency"].get_many([odd, 7])

        assert [(key, row.name) for key, row in found.items()] == [(odd, "Odd"), ("7", "Seven")]


def test_a_uuid_is_found_by_any_spelling(registry: ReferenceCache) -> None:
    registry.register(Device, ["serial"], name="device")
    pk = UUID(int=2**127)
    Device.objects.create(id=pk, serial="S")

    found = registry["device"].get_many([str(pk), pk.hex, f"{{{pk}}}", pk.int, pk])

    assert list(found) == [pk]


def test_json_and_arrays_come_back_as_the_database_gives_them_and_cannot_change(
    registry: ReferenceCache,
) -> None:
    registry.register(Document, ["content", "tags"], name="document")
    content = {"a": [1, {"b": None}], "ü": 1.5}
    pk = Document.objects.create(content=content, tags=["x", "y"]).pk

    for _ in ("cold", "warm"):
        found = registry["document"].get(pk)

        assert found is not None
        assert found.content == content
        assert found.tags == ["x", "y"]
        for change in (
            lambda row: row.content.update(a=1),
            lambda row: row.content["a"].append(1),
            lambda row: row.tags.append("z"),
            lambda row: setattr(row, "tags", []),
        ):
            with pytest.raises((TypeError, AttributeError)):
                change(found)


def test_bytes_that_are_no_entry_are_a_miss_for_their_key_alone(
    registry: ReferenceCache,
    customers: Reference,
    new_registry: NewRegistry,
    client: redis.Redis,
    caplog: pytest.LogCaptureFixture,
) -> None:
    a, b, c = make_customers("Ann", "Bob", "Cyd")
    customers.get_many([a, b, c])
    mine = {key.rpartition(b":")[2]: key for key in client.scan_iter(new_registry.prefix + b"*")}
    client.set(mine[b"%d" % a], b"garbage")
    client.set(mine[b"%d" % b], client.get(mine[b"%d" % c]) or b"")

    with statements() as sent, caplog.at_level(logging.WARNING, "refcache"):
        found = customers.get_many([a, b, c])

    assert [row.name for row in found.values()] == ["Ann", "Bob", "Cyd"]
    assert len(sent) == 1
    assert registry.counts.of(CorruptEntry, "customer") == 2
    assert customers.lookup([a, b]).provenance(b).tier == "redis"


def test_a_key_of_another_type_is_a_miss(
    registry: ReferenceCache,
    customers: Reference,
    new_registry: NewRegistry,
    client: redis.Redis,
) -> None:
    (pk,) = make_customers("Ann")
    customers.get(pk)
    (key,) = client.scan_iter(new_registry.prefix + b"*:%d" % pk)
    client.delete(key)
    client.rpush(key, "a list")

    assert customers.get(pk) == customers.get(pk)
    assert registry.counts.of(RowsLoaded, "customer") == 2


def test_a_version_starts_afresh(new_registry: NewRegistry) -> None:
    old, new = new_registry(), new_registry()
    old.register("testapp.Customer", ["name"], name="customer")
    new.register("testapp.Customer", ["name"], name="customer", version=2)
    (pk,) = make_customers("Ann")
    old["customer"].get(pk)

    assert new["customer"].lookup([pk]).provenance(pk).tier == "database"


def test_a_company_of_another_database_is_not_confused_with_its_namesake(
    registry: ReferenceCache,
) -> None:
    registry.register("testapp.Company", ["name"], name="company")
    registry.register("testapp.OrderEvent", ["amount"], name="event")
    company = Company.objects.create(pk=7, name="ACME", code="a")
    event = OrderEvent.objects.create(pk=7, amount=3)

    found = registry.lookup({"company": [7], "event": [7]})

    assert found["company"][company.pk].as_dict() == {"name": "ACME"}
    assert found["event"][event.pk].as_dict() == {"amount": 3}
