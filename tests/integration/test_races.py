"""Races played by hand: a reader that is held after its load while others write and read."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import Any

import pytest
import redis
from django.db import transaction

from refcache import ReferenceCache, Snapshot
from refcache.core.events import FillRefused
from refcache.reference import Reference
from tests.integration.conftest import NewRegistry
from tests.integration.watching import (
    LIMIT,
    after_each_statement,
    on_own_connections,
    state,
    statements,
    update_unseen,
)
from tests.testapp.models import Company, Customer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def customers(registry: ReferenceCache) -> Reference:
    registry.register("testapp.Customer", ["name"], name="customer")
    return registry["customer"]


@pytest.fixture
def ann(customers: Reference) -> Customer:
    """A customer whose entry is cold."""
    assert customers.name == "customer"
    return Customer.objects.create(name="Ann", email="ann@x.org")


@pytest.fixture
def look(client: redis.Redis, new_registry: NewRegistry) -> Callable[[int], str]:
    return lambda pk: state(client, new_registry.prefix, f"customer:{pk}")


class Held:
    """A read in a thread of its own that has loaded its rows and not yet stored them."""

    def __init__(self, answer: Future[Any], go: Event) -> None:
        self._answer = answer
        self._go = go

    def go_on(self) -> Any:
        self._go.set()
        return self._answer.result(LIMIT)


@contextmanager
def held(read: Callable[[], Any]) -> Iterator[Held]:
    loaded, go = Event(), Event()

    def hold(_: str) -> None:
        loaded.set()
        assert go.wait(LIMIT)

    def reading() -> Any:
        with after_each_statement(hold):
            return read()

    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(on_own_connections(reading))
        try:
            assert loaded.wait(LIMIT)
            yield Held(answer, go)
        finally:
            go.set()


def rename(customer: Customer, name: str) -> None:
    customer.name = name
    customer.save()


def name_of(found: Snapshot | None) -> str | None:
    return found.name if found else None


def test_the_fill_of_a_reader_that_a_save_overtook_is_refused(
    registry: ReferenceCache, customers: Reference, ann: Customer, look: Callable[[int], str]
) -> None:
    with held(lambda: customers.get(ann.pk)) as reader:
        rename(ann, "Bea")
        assert name_of(reader.go_on()) == "Ann"

    assert look(ann.pk) == "nothing"
    assert registry.counts.of(FillRefused, "customer") == 1
    assert name_of(customers.get(ann.pk)) == "Bea"


def test_the_fill_of_a_reader_that_a_commit_overtook_is_refused(
    customers: Reference, ann: Customer, look: Callable[[int], str]
) -> None:
    with held(lambda: customers.get(ann.pk)) as reader:
        with transaction.atomic():
            rename(ann, "Bea")
        reader.go_on()

    assert look(ann.pk) == "nothing"
    assert name_of(customers.get(ann.pk)) == "Bea"


def test_a_fill_during_a_transaction_is_refused(
    customers: Reference, ann: Customer, look: Callable[[int], str]
) -> None:
    with held(lambda: customers.get(ann.pk)) as reader, transaction.atomic():
        rename(ann, "Bea")
        assert name_of(reader.go_on()) == "Ann"
        assert look(ann.pk) == "marker"

    assert name_of(customers.get(ann.pk)) == "Bea"


def test_the_fill_after_a_rollback_is_refused(
    customers: Reference, ann: Customer, look: Callable[[int], str]
) -> None:
    with held(lambda: customers.get(ann.pk)) as reader:
        with transaction.atomic():
            rename(ann, "Bea")
            transaction.set_rollback(True)
        reader.go_on()

    assert look(ann.pk) in ("marker", "nothing")
    assert name_of(customers.get(ann.pk)) == "Ann"


def test_an_absence_that_a_creation_overtook_is_not_stored(
    customers: Reference, look: Callable[[int], str]
) -> None:
    with held(lambda: customers.get(10**9)) as reader:
        Customer.objects.create(pk=10**9, name="New")
        assert reader.go_on() is None

    assert look(10**9) == "nothing"
    assert name_of(customers.get(10**9)) == "New"


def test_an_absence_of_a_key_that_the_database_made_is_not_stored(
    customers: Reference, ann: Customer, look: Callable[[int], str]
) -> None:
    following = ann.pk + 1
    with held(lambda: customers.get(following)) as reader:
        assert Customer.objects.create(name="Next").pk == following
        assert reader.go_on() is None

    assert look(following) == "nothing"
    assert name_of(customers.get(following)) == "Next"


def test_a_row_that_was_deleted_meanwhile_is_not_stored(
    customers: Reference, ann: Customer, look: Callable[[int], str]
) -> None:
    pk = ann.pk
    with held(lambda: customers.get(pk)) as reader:
        ann.delete()
        assert name_of(reader.go_on()) == "Ann"

    assert look(pk) == "nothing"
    assert customers.get(pk) is None


@pytest.mark.parametrize("everything", [False, True], ids=["row", "all"])
def test_what_was_invalidated_while_it_was_loaded_is_not_served(
    customers: Reference, ann: Customer, *, everything: bool
) -> None:
    with held(lambda: customers.get(ann.pk)) as reader:
        update_unseen(Customer.objects.all(), name="Bea")
        if everything:
            customers.invalidate_all()
        else:
            customers.invalidate(ann.pk)
        reader.go_on()

    assert name_of(customers.get(ann.pk)) == "Bea"


def test_only_the_row_that_was_written_is_refused(
    registry: ReferenceCache, customers: Reference, ann: Customer, look: Callable[[int], str]
) -> None:
    bob = Customer.objects.create(name="Bob")
    with held(lambda: customers.get_many([ann.pk, bob.pk])) as reader:
        rename(ann, "Bea")
        reader.go_on()

    assert [look(ann.pk), look(bob.pk)] == ["nothing", "value"]
    assert registry.counts.of(FillRefused, "customer") == 1


def test_a_spanned_row_that_was_written_meanwhile_is_not_stored(registry: ReferenceCache) -> None:
    registry.register("testapp.Customer", ["company__name"], name="customer")
    company = Company.objects.create(name="ACME", code="a")
    ann = Customer.objects.create(name="Ann", company=company)
    registry["customer"].get(ann.pk)
    company.save()
    with held(lambda: registry["customer"].get(ann.pk)) as reader:
        company.name = "Renamed"
        company.save()
        assert reader.go_on().company__name == "ACME"

    found = registry["customer"].get(ann.pk)
    assert found is not None
    assert found.company__name == "Renamed"


def test_an_index_entry_that_was_overtaken_is_not_stored(registry: ReferenceCache) -> None:
    registry.register("testapp.Customer", ["name"], name="mail", key="email")
    ann = Customer.objects.create(name="Ann", email="ann@x.org")
    with held(lambda: registry["mail"].get("ann@x.org")) as reader:
        ann.email = "new@x.org"
        ann.save()
        bob = Customer.objects.create(name="Bob", email="ann@x.org")
        reader.go_on()

    assert name_of(registry["mail"].get("ann@x.org")) == bob.name


def test_who_waits_too_long_reads_the_database_and_does_not_fill(
    new_registry: NewRegistry, look: Callable[[int], str], settings: Any
) -> None:
    settings.REFCACHE = settings.REFCACHE | {"LEASE_WAIT": 0.02}
    registry = new_registry()
    registry.register("testapp.Customer", ["name"], name="customer")
    ann = Customer.objects.create(name="Ann")
    with held(lambda: registry["customer"].get(ann.pk)) as reader:
        with statements() as sent:
            assert name_of(registry["customer"].get(ann.pk)) == "Ann"
        assert len(sent) == 1
        assert look(ann.pk) == "lease"
        reader.go_on()

    assert look(ann.pk) == "value"


def test_who_waits_gets_what_the_other_one_loads(new_registry: NewRegistry, settings: Any) -> None:
    settings.REFCACHE = settings.REFCACHE | {"LEASE_WAIT": LIMIT}
    registry = new_registry()
    registry.register("testapp.Customer", ["name"], name="customer")
    ann = Customer.objects.create(name="Ann")
    asking = Event()

    def second() -> tuple[str | None, int]:
        with statements() as sent:
            asking.set()
            return name_of(registry["customer"].get(ann.pk)), len(sent)

    with held(lambda: registry["customer"].get(ann.pk)) as reader, ThreadPoolExecutor(1) as threads:
        answer = threads.submit(on_own_connections(second))
        assert asking.wait(LIMIT)
        reader.go_on()
        assert answer.result(LIMIT) == ("Ann", 0)


def test_a_lapsed_lease_is_taken_over_and_its_fill_refused(
    registry: ReferenceCache, look: Callable[[int], str], settings: Any
) -> None:
    settings.REFCACHE = settings.REFCACHE | {"LEASE_TIMEOUT": 0.02}
    registry.register("testapp.Customer", ["name"], name="customer")
    ann = Customer.objects.create(name="Ann")
    with held(lambda: registry["customer"].get(ann.pk)) as reader:
        settings.REFCACHE = settings.REFCACHE | {"LEASE_TIMEOUT": LIMIT, "LEASE_WAIT": LIMIT}
        update_unseen(Customer.objects.all(), name="Bea")  # The late one has the old value.
        assert name_of(registry["customer"].get(ann.pk)) == "Bea"
        assert name_of(reader.go_on()) == "Ann"

    assert look(ann.pk) == "value"
    assert name_of(registry["customer"].get(ann.pk)) == "Bea"


def test_two_writers_at_once_release_when_both_are_over(
    customers: Reference, ann: Customer, look: Callable[[int], str]
) -> None:
    customers.get(ann.pk)
    marked, go = Event(), Event()

    def other() -> None:
        with transaction.atomic():
            customers.invalidate(ann.pk)
            marked.set()
            assert go.wait(LIMIT)

    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(on_own_connections(other))
        try:
            assert marked.wait(LIMIT)
            rename(ann, "Bea")
            between = look(ann.pk), name_of(customers.get(ann.pk))
        finally:
            go.set()
        first.result(LIMIT)

    assert between == ("marker", "Bea")
    assert look(ann.pk) == "nothing"
