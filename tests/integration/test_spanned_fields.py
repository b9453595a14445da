"""Fields behind forward relations: entries of their own, composed when they are read."""

from typing import Any

import pytest
from django.db import connection

from refcache import ReferenceCache
from refcache.core.events import Marked
from refcache.reference import Reference
from tests.integration.watching import statements
from tests.testapp.models import Company, Country, Customer, OrderEvent, OrderLine

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "events"])


@pytest.fixture
def customers(registry: ReferenceCache) -> Reference:
    registry.register(
        "testapp.Customer",
        ["company__name", "name", "company__country__name", "company_code__name"],
        name="customer",
    )
    return registry["customer"]


@pytest.fixture
def acme() -> Company:
    country = Country.objects.create(name="Utopia")
    return Company.objects.create(name="ACME", code="acme", country=country)


def values(reference: Reference, *keys: Any) -> list[tuple[Any, ...]]:
    return [tuple(row.as_dict().values()) for row in reference.get_many(keys).values()]


def test_fields_of_two_hops_stand_in_the_order_of_their_declaration(
    customers: Reference, acme: Company
) -> None:
    ann = Customer.objects.create(name="Ann", company=acme, company_code=acme)

    for _ in ("cold", "warm"):
        found = customers.get(ann.pk)

        assert found is not None
        assert found.as_dict() == {
            "company__name": "ACME",
            "name": "Ann",
            "company__country__name": "Utopia",
            "company_code__name": "ACME",
        }


def test_a_null_relation_gives_none(customers: Reference) -> None:
    ann = Customer.objects.create(name="Ann")
    nowhere = Company.objects.create(name="Nowhere", code="n")
    bob = Customer.objects.create(name="Bob", company=nowhere)

    for _ in ("cold", "warm"):
        assert values(customers, ann.pk, bob.pk) == [
            (None, "Ann", None, None),
            ("Nowhere", "Bob", None, None),
        ]


def test_a_dangling_relation_gives_none(customers: Reference) -> None:
    ann = Customer.objects.create(name="Ann", company_id=10**9)

    for _ in ("cold", "warm"):
        assert values(customers, ann.pk) == [(None, "Ann", None, None)]


def test_a_dangling_relation_is_healed_by_the_row_that_it_names(customers: Reference) -> None:
    ann = Customer.objects.create(name="Ann", company_id=10**9)
    customers.get(ann.pk)

    Company.objects.create(pk=10**9, name="Late", code="late")

    assert values(customers, ann.pk) == [("Late", "Ann", None, None)]


def test_a_spanned_row_is_asked_for_once_however_many_need_it(
    customers: Reference, acme: Company
) -> None:
    pks = [Customer.objects.create(name=n, company=acme).pk for n in "abc"]

    with statements() as sent:
        found = values(customers, *pks)

    assert [each[0] for each in found] == ["ACME"] * 3
    assert len(sent) == 3  # customers, their company, its country


def test_renaming_a_spanned_row_marks_one_entry(
    registry: ReferenceCache, customers: Reference, acme: Company
) -> None:
    pks = [Customer.objects.create(name=n, company=acme).pk for n in "abc"]
    values(customers, *pks)
    before = registry.counts.of(Marked)

    acme.name = "Renamed"
    acme.save()

    assert registry.counts.of(Marked) == before + 1
    with statements() as sent:
        assert [each[0] for each in values(customers, *pks)] == ["Renamed"] * 3
    assert len(sent) == 1 + 0  # only the company


def test_a_row_may_be_pointed_elsewhere(customers: Reference, acme: Company) -> None:
    ann = Customer.objects.create(name="Ann", company=acme)
    other = Company.objects.create(name="Other", code="other")
    customers.get(ann.pk)

    ann.company = other
    ann.save()

    assert values(customers, ann.pk) == [("Other", "Ann", None, None)]


def test_two_hops_away_a_write_is_seen(customers: Reference, acme: Company) -> None:
    ann = Customer.objects.create(name="Ann", company=acme)
    customers.get(ann.pk)
    country = Country.objects.get()

    country.name = "Elsewhere"
    country.save()

    assert values(customers, ann.pk) == [("ACME", "Ann", "Elsewhere", None)]


def test_a_relation_to_another_field_follows_that_field(
    customers: Reference, acme: Company
) -> None:
    ann = Customer.objects.create(name="Ann", company_code=acme)
    assert values(customers, ann.pk) == [(None, "Ann", None, "ACME")]

    with connection.constraint_checks_disabled():
        acme.code = "moved"
        with connection.cursor() as cursor:
            cursor.execute("SET session_replication_role = replica")
            acme.save()
            cursor.execute("SET session_replication_role = origin")

    assert values(customers, ann.pk) == [(None, "Ann", None, None)]

    ann.company_code = acme
    ann.save()

    assert values(customers, ann.pk) == [(None, "Ann", None, "ACME")]


def test_references_share_the_rows_that_they_span(
    registry: ReferenceCache, customers: Reference, acme: Company
) -> None:
    registry.register("testapp.Customer", ["company__name"], name="short")
    ann = Customer.objects.create(name="Ann", company=acme)
    customers.get(ann.pk)

    with statements() as sent:
        found = registry["short"].get(ann.pk)

    assert found is not None
    assert found.company__name == "ACME"
    assert len(sent) == 1  # the customer: its own reference's entry


def test_references_that_span_different_rows_of_a_model_get_theirs(
    registry: ReferenceCache, acme: Company
) -> None:
    registry.register("testapp.Customer", ["company__name"], name="one")
    registry.register("testapp.Customer", ["company__name"], name="other")
    elsewhere = Company.objects.create(name="Elsewhere", code="e")
    ann = Customer.objects.create(name="Ann", company=acme)
    bob = Customer.objects.create(name="Bob", company=elsewhere)

    for _ in ("cold", "warm"):
        found = registry.lookup({"one": [ann.pk], "other": [bob.pk]})

        assert found["one"][ann.pk].company__name == "ACME"
        assert found["other"][bob.pk].company__name == "Elsewhere"


def test_a_relation_may_itself_be_a_field(registry: ReferenceCache, acme: Company) -> None:
    registry.register("testapp.Customer", ["company", "company_id", "company__name"], name="c")
    ann = Customer.objects.create(name="Ann", company=acme)

    for _ in ("cold", "warm"):
        assert values(registry["c"], ann.pk) == [(acme.pk, acme.pk, "ACME")]


def test_relations_within_the_other_database_are_followed_there(registry: ReferenceCache) -> None:
    registry.register("testapp.OrderLine", ["event__amount", "currency_code"], name="line")
    event = OrderEvent.objects.create(amount=5)
    line = OrderLine.objects.create(event=event, currency_code="EUR")

    assert values(registry["line"], line.pk) == [(5, "EUR")]

    event.amount = 6
    event.save()

    assert values(registry["line"], line.pk) == [(6, "EUR")]


def test_the_provenance_of_a_composed_snapshot_is_that_of_its_parts(
    customers: Reference, acme: Company
) -> None:
    ann = Customer.objects.create(name="Ann", company=acme)
    customers.get(ann.pk)
    assert customers.lookup([ann.pk]).provenance(ann.pk).tier == "redis"

    acme.save()

    assert customers.lookup([ann.pk]).provenance(ann.pk).tier == "database"
