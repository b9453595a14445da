"""What each act costs, in commands at Redis and statements at the databases.

A change of a number here is a change of the product.
"""

from typing import Any

import pytest
import redis
from django.db import transaction

from refcache import ReferenceCache
from tests.integration.conftest import NewRegistry
from tests.integration.watching import in_new_loop, redis_commands, statements
from tests.testapp.models import Company, Country, Currency, Customer, Device

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = 20


class Costs:
    """The commands and statements of one act."""

    def __init__(self, client: redis.Redis, prefix: bytes) -> None:
        self._client = client
        self._prefix = prefix

    def of(self, act: Any) -> tuple[list[str], int]:
        watching = redis_commands(self._client, self._prefix)
        with watching as commands, statements("default") as sent:
            act()
        return commands, len(sent)


@pytest.fixture
def costs(client: redis.Redis, new_registry: NewRegistry) -> Costs:
    return Costs(client, new_registry.prefix)


@pytest.fixture
def registry(registry: ReferenceCache) -> ReferenceCache:
    registry.register("testapp.Customer", ["name"], name="customer")
    registry.register("testapp.Customer", ["name"], name="mail", key="email")
    registry.register("testapp.Customer", ["name", "company__name"], name="one-hop")
    registry.register("testapp.Customer", ["name", "company__country__name"], name="two-hops")
    registry.register("testapp.Device", ["serial"], name="device")
    return registry


@pytest.fixture
def page() -> list[int]:
    country = Country.objects.create(name="Utopia")
    company = Company.objects.create(name="ACME", code="a", country=country)
    made = [
        Customer.objects.create(name=f"c{n}", email=f"c{n}@x.org", company=company)
        for n in range(PAGE)
    ]
    return [each.pk for each in made]


COLD = ["MGET", "claim", "fill"]
WARM = ["MGET"]


@pytest.mark.parametrize(
    ("name", "cold", "queries", "warm"),
    [
        ("customer", COLD, 1, WARM),
        ("one-hop", COLD * 2, 2, WARM * 2),
        ("two-hops", COLD * 3, 3, WARM * 3),
        ("mail", COLD * 2, 2, WARM * 2),
    ],
)
def test_a_page_costs(
    registry: ReferenceCache,
    costs: Costs,
    page: list[int],
    name: str,
    cold: list[str],
    queries: int,
    warm: list[str],
) -> None:
    keys: list[Any] = [f"c{n}@x.org" for n in range(PAGE)] if name == "mail" else list(page)
    reference = registry[name]

    assert costs.of(lambda: reference.get_many(keys)) == (cold, queries)
    assert costs.of(lambda: reference.get_many(keys)) == (warm, 0)
    assert costs.of(lambda: reference.lookup(keys)) == (warm, 0)
    assert costs.of(lambda: reference.get(keys[0])) == (warm, 0)
    assert costs.of(lambda: in_new_loop(reference.aget_many(keys))) == (warm, 0)


def test_an_async_cold_page_costs_what_a_cold_page_costs(
    registry: ReferenceCache, costs: Costs, page: list[int]
) -> None:
    commands, _ = costs.of(lambda: in_new_loop(registry["customer"].aget_many(page)))

    assert commands == COLD


def test_several_references_cost_the_round_trips_of_one(
    registry: ReferenceCache, costs: Costs, page: list[int]
) -> None:
    device = Device.objects.create(id="00000000-0000-0000-0000-000000000007", serial="S")
    asked: dict[str, list[Any]] = {"customer": list(page), "device": [device.pk]}

    assert costs.of(lambda: registry.lookup(asked)) == (COLD, 2)
    assert costs.of(lambda: registry.lookup(asked)) == (WARM, 0)


def test_hops_of_several_references_are_taken_together(
    registry: ReferenceCache, costs: Costs, page: list[int]
) -> None:
    asked = {"customer": page, "one-hop": page, "two-hops": page}
    registry.lookup(asked)

    assert costs.of(lambda: registry.lookup(asked)) == (WARM * 3, 0)


def test_attaching_costs_the_lookup(
    registry: ReferenceCache, costs: Costs, page: list[int]
) -> None:
    rows = [{"customer_id": pk} for pk in page * 3]
    registry["customer"].get_many(page)

    assert costs.of(lambda: registry.attach(rows, customer="customer_id")) == (WARM, 0)


def test_a_partly_cold_page_asks_for_the_rest_only(
    registry: ReferenceCache, costs: Costs, page: list[int]
) -> None:
    registry["customer"].get_many(page[:10])

    assert costs.of(lambda: registry["customer"].get_many(page)) == (COLD, 1)


def test_known_absences_cost_what_values_cost(registry: ReferenceCache, costs: Costs) -> None:
    absent = [10**9 + n for n in range(PAGE)]
    registry["customer"].get_many(absent)

    assert costs.of(lambda: registry["customer"].get_many(absent)) == (WARM, 0)


def test_null_keys_cost_nothing(registry: ReferenceCache, costs: Costs) -> None:
    assert costs.of(lambda: registry["customer"].get_many([None])) == ([], 0)


def test_a_cold_read_inside_a_transaction_costs_one_question_more(
    registry: ReferenceCache, costs: Costs, page: list[int]
) -> None:
    with transaction.atomic():
        assert costs.of(lambda: registry["customer"].get_many(page)) == (COLD, 2)
        assert costs.of(lambda: registry["customer"].get_many(page)) == (WARM, 0)


def test_reads_inside_a_transaction_that_has_written_never_claim(
    registry: ReferenceCache, costs: Costs, page: list[int]
) -> None:
    with transaction.atomic():
        Country.objects.create(name="Elsewhere")
        assert costs.of(lambda: registry["customer"].get_many(page)) == (WARM, 2)


def test_a_save_in_autocommit_costs_a_mark_and_a_release(
    registry: ReferenceCache, costs: Costs, page: list[int]
) -> None:
    customer = Customer.objects.get(pk=page[0])
    registry.lookup(dict.fromkeys(("customer", "one-hop", "two-hops"), page))
    customer.save()

    assert costs.of(customer.save) == (["mark", "release"], 1)


def test_a_write_that_meets_a_new_schema_repeats_itself_once(
    registry: ReferenceCache, costs: Costs, page: list[int]
) -> None:
    customer = Customer.objects.get(pk=page[0])
    registry["customer"].get_many(page)

    assert costs.of(customer.save) == (["mark", "mark", "release"], 1)


def test_an_insert_marks_the_keys_that_are_known_before_it(
    registry: ReferenceCache, costs: Costs
) -> None:
    def insert(**values: Any) -> list[str]:
        return costs.of(lambda: Customer.objects.create(name="New", **values))[0]

    assert "customer" in registry
    assert insert() == ["release"]
    assert insert(email="new@x.org") == ["mark", "release"]
    assert insert(pk=10**9) == ["mark", "release"]


def test_a_delete_costs_a_mark_and_a_release_in_its_transaction(
    registry: ReferenceCache, costs: Costs, page: list[int]
) -> None:
    customer = Customer.objects.get(pk=page[0])
    assert "customer" in registry

    commands, _ = costs.of(customer.delete)

    assert commands == ["mark", "release"]


def test_a_transaction_marks_each_save_and_releases_once(
    registry: ReferenceCache, costs: Costs, page: list[int]
) -> None:
    customers = list(Customer.objects.filter(pk__in=page[:3]))
    assert "customer" in registry

    @transaction.atomic
    def save() -> None:
        for customer in customers:
            customer.save()
            customer.save()

    commands, _ = costs.of(save)

    assert commands == ["mark"] * 3 + ["release"]


def test_a_write_of_other_columns_costs_nothing(
    registry: ReferenceCache, costs: Costs, page: list[int]
) -> None:
    customer = Customer.objects.get(pk=page[0])
    registry["customer"].get_many(page)

    commands, _ = costs.of(lambda: customer.save(update_fields=["tier"]))

    assert commands == []


def test_a_write_of_a_model_that_nobody_refers_to_costs_nothing(
    registry: ReferenceCache, costs: Costs
) -> None:
    registry["customer"].get(1)

    commands, _ = costs.of(lambda: Currency.objects.create(code="EUR", name="Euro"))

    assert commands == []


def test_invalidating_costs_one_round_trip(
    registry: ReferenceCache, costs: Costs, page: list[int]
) -> None:
    reference = registry["customer"]
    reference.get_many(page)
    reference.invalidate(page[0])

    assert costs.of(lambda: reference.invalidate(*page)) == (["release"], 0)
    assert costs.of(reference.invalidate_all) == (["release"], 0)


def test_warming_costs_a_cold_read_for_each_batch(
    registry: ReferenceCache, costs: Costs, page: list[int]
) -> None:
    reference = registry["customer"]

    assert costs.of(lambda: reference.warm(page, batch_size=10)) == (COLD * 2, 2)
    assert costs.of(lambda: reference.warm(page, only_missing=True)) == (WARM, 0)
