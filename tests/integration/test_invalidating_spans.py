"""What an operator drops of a reference includes the rows that it spans."""

from collections.abc import Callable

import pytest

from refcache import ReferenceCache
from refcache.reference import Reference
from tests.integration.watching import in_new_loop, update_unseen
from tests.testapp.models import Company, Country, Customer

pytestmark = pytest.mark.django_db(transaction=True)

Names = dict[str, object]


@pytest.fixture
def customers(registry: ReferenceCache) -> Reference:
    registry.register(
        "testapp.Customer",
        ["name", "company__name", "company__country__name", "company_code__name"],
        name="customer",
    )
    return registry["customer"]


@pytest.fixture
def ann(customers: Reference) -> Customer:
    """A customer who is warm in all her parts, none of which is in the database any longer."""
    country = Country.objects.create(name="old")
    acme = Company.objects.create(name="old", code="acme", country=country)
    ann = Customer.objects.create(name="old", company=acme, company_code=acme)
    customers.get(ann.pk)
    for model in (Country, Company, Customer):
        update_unseen(model.objects.all(), name="new")
    return ann


NEW = {
    "name": "new",
    "company__name": "new",
    "company__country__name": "new",
    "company_code__name": "new",
}


def parts(reference: Reference, key: object) -> Names:
    found = reference.get(key)
    assert found is not None
    return found.as_dict()


def invalidate(reference: Reference, key: int) -> None:
    reference.invalidate(key)


def invalidate_in_a_loop(reference: Reference, key: int) -> None:
    in_new_loop(reference.ainvalidate(key))


def invalidate_all(reference: Reference, _: int) -> None:
    reference.invalidate_all()


def invalidate_all_in_a_loop(reference: Reference, _: int) -> None:
    in_new_loop(reference.ainvalidate_all())


@pytest.mark.parametrize(
    "drop", [invalidate, invalidate_in_a_loop, invalidate_all, invalidate_all_in_a_loop]
)
def test_all_parts_are_dropped(
    customers: Reference, ann: Customer, drop: Callable[[Reference, int], None]
) -> None:
    assert set(parts(customers, ann.pk).values()) == {"old"}

    drop(customers, ann.pk)

    assert parts(customers, ann.pk) == NEW


def test_a_key_drops_the_row_that_the_store_believes_in_and_the_databases(
    registry: ReferenceCache,
) -> None:
    registry.register("testapp.Customer", ["company__name"], name="customer")
    customers = registry["customer"]
    old, new = (Company.objects.create(name=name, code=name) for name in ("old", "new"))
    ann = Customer.objects.create(company=old)
    bob = Customer.objects.create(company=new)
    customers.get_many([ann.pk, bob.pk])
    update_unseen(Customer.objects.filter(pk=ann.pk), company=new)
    update_unseen(Company.objects.filter(pk=new.pk), name="newer")

    customers.invalidate(ann.pk)

    assert parts(customers, ann.pk) == {"company__name": "newer"}


def test_a_key_that_is_no_primary_key_drops_the_row_it_leads_to(registry: ReferenceCache) -> None:
    registry.register("testapp.Customer", ["name", "company__name"], name="mail", key="email")
    acme = Company.objects.create(name="old", code="acme")
    Customer.objects.create(name="old", email="ann@x.org", company=acme)
    parts(registry["mail"], "ann@x.org")
    update_unseen(Customer.objects.all(), name="new")
    update_unseen(Company.objects.all(), name="new")

    registry["mail"].invalidate("ann@x.org")

    assert parts(registry["mail"], "ann@x.org") == {"name": "new", "company__name": "new"}
