"""Transactions that write: requests, blocks without autocommit, callbacks, several writers."""

from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
import redis
from django.conf import settings as project
from django.db import IntegrityError, connections, transaction
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path

from refcache import ReferenceCache
from refcache.querysets import ReferenceQuerySet
from refcache.reference import Reference
from tests.integration.conftest import NewRegistry
from tests.integration.watching import in_thread, state, statements
from tests.testapp.models import Customer, Meter, OrderEvent

Look = Callable[[], str]
View = Callable[[], object]

on_postgres = pytest.mark.django_db(transaction=True, databases=["default", "events"])

view: list[View] = []


class WrongError(Exception):
    """What a block raises to be rolled back."""


def answer(_: HttpRequest) -> HttpResponse:
    view[-1]()
    return HttpResponse()


urlpatterns = [path("", answer)]


@pytest.fixture
def customers(registry: ReferenceCache) -> Reference:
    registry.register("testapp.Customer", ["name"], name="customer")
    return registry["customer"]


@pytest.fixture
def ann(customers: Reference) -> Customer:
    """A customer whose entry is warm."""
    ann = Customer.objects.create(name="Ann", email="ann@x.org")
    customers.get(ann.pk)
    return ann


@pytest.fixture
def look(client: redis.Redis, new_registry: NewRegistry, ann: Customer) -> Look:
    pk = ann.pk
    return lambda: state(client, new_registry.prefix, f"customer:{pk}")


@pytest.fixture
def request_() -> Iterator[Callable[[View], object]]:
    """Performs a request under ATOMIC_REQUESTS, on both databases."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(project, "ROOT_URLCONF", __name__, raising=False)
        patch.setattr(project, "ALLOWED_HOSTS", ["testserver"])
        for each in ("default", "events"):
            patch.setitem(connections[each].settings_dict, "ATOMIC_REQUESTS", value=True)

        def perform(act: View) -> object:
            view.append(act)
            try:
                return Client().get("/")
            finally:
                view.pop()

        yield perform


def name_of(reference: Reference, pk: object) -> str | None:
    found = reference.get(pk)
    return found.name if found else None


def is_kept(reference: Reference, pk: int) -> bool:
    """Whether a second read is answered without the database."""
    reference.get(pk)
    with statements(reference.alias) as sent:
        reference.get(pk)
    return not sent


def rename(ann: Customer, name: str) -> None:
    Customer.objects.filter(name=ann.name).update(name=name)


@on_postgres
def test_a_request_that_only_reads_fills(
    customers: Reference, ann: Customer, look: Look, request_: Callable[[View], object]
) -> None:
    customers.invalidate(ann.pk)

    request_(lambda: customers.get(ann.pk))

    assert look() == "value"


@on_postgres
def test_a_request_that_writes_reads_its_own_writes_and_others_those_of_the_last_commit(
    customers: Reference, ann: Customer, request_: Callable[[View], object]
) -> None:
    seen = []

    def write() -> None:
        rename(ann, "Bea")
        seen.append(name_of(customers, ann.pk))
        seen.append(in_thread(lambda: name_of(customers, ann.pk)))

    request_(write)

    assert seen == ["Bea", "Ann"]
    assert name_of(customers, ann.pk) == "Bea"
    assert is_kept(customers, ann.pk)


@on_postgres
def test_a_request_that_fails_has_changed_nothing_in_either_database(
    registry: ReferenceCache,
    customers: Reference,
    ann: Customer,
    request_: Callable[[View], object],
) -> None:
    registry.register("testapp.OrderEvent", ["amount"], name="event")
    event = OrderEvent.objects.create(amount=1)
    registry["event"].get(event.pk)

    def write() -> None:
        rename(ann, "Bea")
        OrderEvent.objects.update(amount=2)
        raise WrongError

    with suppress(WrongError):
        request_(write)

    found = registry["event"].get(event.pk)
    assert found is not None
    assert found.amount == 1
    assert name_of(customers, ann.pk) == "Ann"
    assert is_kept(customers, ann.pk)


@on_postgres
def test_a_durable_block_ends_like_any_other(customers: Reference, ann: Customer) -> None:
    with transaction.atomic(durable=True):
        rename(ann, "Bea")
        assert in_thread(lambda: name_of(customers, ann.pk)) == "Ann"

    assert name_of(customers, ann.pk) == "Bea"
    assert is_kept(customers, ann.pk)


@on_postgres
@pytest.mark.parametrize("end", [transaction.commit, transaction.rollback])
def test_without_autocommit_the_marker_of_an_update_stays_until_it_expires(
    customers: Reference,
    ann: Customer,
    end: Callable[[], None],
    client: redis.Redis,
    new_registry: NewRegistry,
) -> None:
    transaction.set_autocommit(False)
    try:
        Customer.objects.filter(pk=ann.pk).update(name="Bea")
        end()
    finally:
        transaction.set_autocommit(True)

    expected = "Bea" if end is transaction.commit else "Ann"
    assert name_of(customers, ann.pk) == expected
    assert not is_kept(customers, ann.pk)
    key = next(client.scan_iter(b"%bcustomer:*:%d" % (new_registry.prefix, ann.pk)))
    assert 0 < client.pttl(key) <= 60_000  # WRITE_TIMEOUT


@on_postgres
@pytest.mark.parametrize("end", [transaction.commit, transaction.rollback])
def test_without_autocommit_a_precise_update_is_released_when_autocommit_is_on_again(
    customers: Reference, ann: Customer, end: Callable[[], None]
) -> None:
    transaction.set_autocommit(False)
    try:
        ReferenceQuerySet(Customer).filter(name="Ann").update(name="Bea")
        end()
        assert in_thread(lambda: name_of(customers, ann.pk)) == (
            "Bea" if end is transaction.commit else "Ann"
        )
    finally:
        transaction.set_autocommit(True)

    assert name_of(customers, ann.pk) == ("Bea" if end is transaction.commit else "Ann")
    assert is_kept(customers, ann.pk)


@on_postgres
def test_a_bulk_write_whose_commit_fails_is_not_released(
    registry: ReferenceCache, customers: Reference, ann: Customer
) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        # The constraint is deferred to the COMMIT.
        Customer.objects.filter(name="Ann").update(name="Bea", company_code="nope")

    assert not registry.invalidation.has_dropped
    assert name_of(customers, ann.pk) == "Ann"
    assert not is_kept(customers, ann.pk)


def fail() -> None:
    raise WrongError


@on_postgres
@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("robust", [True, False])
@pytest.mark.filterwarnings("ignore")
def test_values_are_right_whenever_a_callback_raises(
    customers: Reference, ann: Customer, *, is_first: bool, robust: bool
) -> None:
    seen: list[str | None] = []

    def write() -> None:
        with transaction.atomic():
            if is_first:
                transaction.on_commit(fail, robust=robust)
            rename(ann, "Bea")
            if not is_first:
                transaction.on_commit(fail, robust=robust)
            transaction.on_commit(lambda: seen.append(name_of(customers, ann.pk)))

    with suppress(WrongError):
        write()

    assert seen == (["Bea"] if robust else [])
    assert name_of(customers, ann.pk) == "Bea"
    # The release is a callback, too: it stands where the first write stood.
    assert is_kept(customers, ann.pk) == (robust or not is_first)


def save_site(meter: Meter) -> None:
    meter.site = "south"
    meter.save(update_fields=["site"])


def save_number(meter: Meter) -> None:
    meter.number = 2
    meter.save(update_fields=["number"])


def update_site(meter: Meter) -> None:
    Meter.objects.filter(pk=meter.pk).update(site="south")


def update_number(meter: Meter) -> None:
    Meter.objects.filter(pk=meter.pk).update(number=2)


def update_number_precisely(meter: Meter) -> None:
    ReferenceQuerySet(Meter).filter(pk=meter.pk).update(number=2)


@on_postgres
@pytest.mark.parametrize("site", [save_site, update_site])
@pytest.mark.parametrize("number", [save_number, update_number, update_number_precisely])
def test_two_writers_who_each_change_a_part_of_a_key_make_its_absence_go(
    registry: ReferenceCache, site: Callable[[Meter], None], number: Callable[[Meter], None]
) -> None:
    """Neither of them knows the key that the row has in the end."""
    registry.register("testapp.Meter", ["unit"], name="meter", key=("site", "number"))
    meters, key = registry["meter"], ("south", 2)
    pk = Meter.objects.create(site="north", number=1, unit="kWh").pk
    first, second = Meter.objects.get(pk=pk), Meter.objects.get(pk=pk)

    with transaction.atomic():
        site(first)
        assert in_thread(lambda: meters.get(key)) is None
    assert in_thread(lambda: meters.get(key)) is None
    with transaction.atomic():
        number(second)
        assert in_thread(lambda: meters.get(key)) is None

    found = meters.get(key)
    assert found is not None
    assert found.unit == "kWh"
