"""Unique values that move between rows while they are looked up: never another one's row."""

from collections.abc import Callable

import pytest
from django.db import transaction

from refcache import ReferenceCache
from refcache.core.operations import Read
from refcache.reference import Reference
from tests.integration.interposing import act_before
from tests.integration.watching import update_unseen
from tests.testapp.models import Customer

pytestmark = pytest.mark.django_db(transaction=True)

ONE, TWO, THREE = "one@x.org", "two@x.org", "three@x.org"
INDEX_READ, ROW_READ, SECOND_INDEX_READ, SECOND_ROW_READ = 1, 2, 3, 4


@pytest.fixture
def by_email(registry: ReferenceCache) -> Reference:
    registry.register("testapp.Customer", ["name", "email"], name="mail", key="email")
    return registry["mail"]


@pytest.fixture
def customers(by_email: Reference) -> dict[str, Customer]:
    """By their first e-mail address; their entries are warm."""
    made = {
        email: Customer.objects.create(name=email.partition("@")[0], email=email)
        for email in (ONE, TWO, THREE)
    }
    for _ in range(2):
        by_email.get_many(made)
    return made


def readdress(customer: Customer, email: str | None) -> None:
    customer.email = email
    customer.save()


def names(reference: Reference, *emails: str) -> dict[object, str]:
    """What is found; each row has the address that it was found by."""
    found = reference.get_many(emails)
    assert {key: row.email for key, row in found.items()} == {key: key for key in found}
    return {key: row.name for key, row in found.items()}


@pytest.mark.parametrize(
    "moment", [INDEX_READ, ROW_READ, SECOND_INDEX_READ, SECOND_ROW_READ], ids=str
)
def test_two_keys_of_which_one_moves_are_never_mixed_up(
    registry: ReferenceCache, by_email: Reference, customers: dict[str, Customer], moment: int
) -> None:
    def move_two() -> None:
        readdress(customers[TWO], "elsewhere@x.org")
        readdress(customers[THREE], TWO)

    # Unseen by refcache: both index entries lead to rows that have other keys by now.
    update_unseen(Customer.objects.filter(email=ONE), email="unseen@x.org")
    customers[ONE].refresh_from_db()
    customers[ONE].save()
    act_before(registry, Read, moment, move_two)

    found = names(by_email, ONE, TWO)

    assert found.keys() == {TWO}
    assert found[TWO] in ("two", "three")
    assert names(by_email, ONE, TWO) in ({TWO: "two"}, {TWO: "three"})


def test_both_keys_may_move_between_index_and_rows(
    registry: ReferenceCache, by_email: Reference, customers: dict[str, Customer]
) -> None:
    def move() -> None:
        readdress(customers[ONE], "elsewhere@x.org")
        readdress(customers[TWO], None)
        readdress(customers[THREE], TWO)

    moved = act_before(registry, Read, ROW_READ, move)

    assert names(by_email, ONE, TWO) == {TWO: "three"}
    assert moved.has_acted
    assert names(by_email, ONE, TWO, THREE) == {TWO: "three"}


def test_rows_that_swap_their_keys_are_not_mixed_up(
    registry: ReferenceCache, by_email: Reference, customers: dict[str, Customer]
) -> None:
    def swap() -> None:
        with transaction.atomic():
            readdress(customers[ONE], None)
            readdress(customers[TWO], ONE)
            readdress(customers[ONE], TWO)

    act_before(registry, Read, ROW_READ, swap)

    assert names(by_email, ONE, TWO) == {ONE: "two", TWO: "one"}


def replace(customer: Customer) -> Callable[[], object]:
    """Another row gets the key of one that is deleted."""

    def act() -> None:
        email = customer.email
        customer.delete()
        Customer.objects.create(name="successor", email=email)

    return act


def test_a_key_that_a_new_row_takes_over_between_index_and_row_is_found(
    registry: ReferenceCache, by_email: Reference, customers: dict[str, Customer]
) -> None:
    replaced = act_before(registry, Read, ROW_READ, replace(customers[ONE]))

    assert names(by_email, ONE) == {ONE: "successor"}
    assert replaced.has_acted
    assert names(by_email, ONE) == {ONE: "successor"}


def test_a_key_that_is_taken_over_does_not_spoil_the_others(
    registry: ReferenceCache, by_email: Reference, customers: dict[str, Customer]
) -> None:
    act_before(registry, Read, ROW_READ, replace(customers[ONE]))

    assert names(by_email, TWO, ONE, THREE) == {TWO: "two", ONE: "successor", THREE: "three"}


def test_a_row_that_is_deleted_between_index_and_row_is_absent(
    registry: ReferenceCache, by_email: Reference, customers: dict[str, Customer]
) -> None:
    act_before(registry, Read, ROW_READ, customers[ONE].delete)

    assert names(by_email, ONE, TWO) == {TWO: "two"}


def test_a_stale_index_entry_is_loaded_anew_beside_a_good_one(
    by_email: Reference, customers: dict[str, Customer]
) -> None:
    # Unseen by refcache: the index entry leads to a row that has another key by now.
    update_unseen(Customer.objects.filter(email=TWO), email="elsewhere@x.org")
    update_unseen(Customer.objects.filter(email=THREE), email=TWO)
    customers[TWO].refresh_from_db()
    customers[TWO].save()

    assert names(by_email, ONE, TWO) == {ONE: "one", TWO: "three"}
