"""Saves that fail, or that are not all that happens, exempt no other write from being marked."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from uuid import UUID

import pytest
import redis
from django.db import IntegrityError, connections
from django.db.models import Model
from django.db.models.signals import pre_save

from refcache import ReferenceCache
from refcache.core.operations import Mark
from refcache.reference import Reference
from tests.integration.conftest import NewRegistry
from tests.integration.interposing import fail
from tests.integration.odd_writes import execute, on, on_each, plain, refer, shown
from tests.testapp.models import Account, Customer, Device, Subscriber

A_KEY = UUID("5f0c1d52-1f0b-4c57-8f3c-0d6a8f3f6b11")
ANOTHER_KEY = UUID("5f0c1d52-1f0b-4c57-8f3c-0d6a8f3f6b22")


class RefusedError(Exception):
    """What a handler raises."""


@contextmanager
def on_pre_save(model: type[Model], handler: Callable[..., None]) -> Iterator[None]:
    """Connected after refcache's own, which has marked by then."""
    pre_save.connect(handler, sender=model, weak=False)
    try:
        yield
    finally:
        pre_save.disconnect(handler, sender=model)


def refuse(row: Model, alias: str) -> None:
    """A handler does not let it be saved."""

    def handler(**_: Any) -> None:
        raise RefusedError

    with on_pre_save(type(row), handler), suppress(RefusedError):
        row.save(using=alias)


def clash(row: Model, alias: str) -> None:
    """The database does not let it be saved."""
    taken = "taken@x.org"
    Customer.objects.using(alias).create(name="Other", email=taken)
    row.email = taken  # type: ignore[attr-defined]  # a customer
    with pytest.raises(IntegrityError):
        row.save(using=alias)
    Customer.objects.using(alias).filter(email=taken).delete()


Break = Callable[[Model, str], None]
in_both_ways = pytest.mark.parametrize("failing", [refuse, clash])


@pytest.fixture
def customers(registry: ReferenceCache, alias: str) -> Reference:
    return refer(registry, Customer, alias)


@pytest.fixture
def ann(customers: Reference, alias: str) -> Customer:
    """A customer whose entry is warm."""
    ann = Customer.objects.using(alias).create(name="Ann")
    assert shown(customers, ann.pk) == "Ann"
    return ann


@pytest.fixture
def forget(client: redis.Redis, new_registry: NewRegistry) -> Callable[[], None]:
    """Redis loses what it has of the registry."""

    def forget() -> None:
        for key in client.scan_iter(new_registry.prefix + b"*"):
            client.delete(key)

    return forget


# The same row, written after its save has failed


@on_each
@in_both_ways
@pytest.mark.parametrize("is_raw", [False, True])
def test_a_row_whose_save_has_failed_is_marked_for_the_next_write(
    customers: Reference,
    ann: Customer,
    alias: str,
    failing: Break,
    forget: Callable[[], None],
    *,
    is_raw: bool,
) -> None:
    failing(ann, alias)
    forget()
    assert shown(customers, ann.pk) == "Ann"

    if is_raw:
        sql = "UPDATE testapp_customer SET name = %s WHERE id = %s"
        execute(alias, sql, params=["Anna", ann.pk])
    else:
        plain(Customer, alias).filter(pk=ann.pk).update(name="Anna")

    assert shown(customers, ann.pk) == "Anna"


@on_each
@in_both_ways
def test_a_mark_that_failed_with_its_save_is_made_up_for_by_the_next_write(
    registry: ReferenceCache, customers: Reference, ann: Customer, alias: str, failing: Break
) -> None:
    outage = fail(registry, Mark)
    failing(ann, alias)
    outage.failures = 0
    assert shown(customers, ann.pk) == "Ann"

    plain(Customer, alias).filter(pk=ann.pk).update(name="Anna")

    assert shown(customers, ann.pk) == "Anna"


# The same values, inserted after their save has failed


@on_each
@pytest.mark.parametrize("is_taken", [False, True])
def test_values_whose_save_has_failed_are_marked_when_another_row_has_them(
    registry: ReferenceCache, alias: str, *, is_taken: bool
) -> None:
    devices = refer(registry, Device, alias, "serial")
    assert shown(devices, ANOTHER_KEY) is None
    row = Device(pk=A_KEY, serial="Y")
    if is_taken:
        plain(Device, alias).bulk_create([Device(pk=A_KEY, serial="X")])
        with pytest.raises(IntegrityError):
            row.save(using=alias, force_insert=True)
    else:
        refuse(row, alias)

    plain(Device, alias).bulk_create([Device(pk=ANOTHER_KEY, serial="Y")])

    assert shown(devices, ANOTHER_KEY) == "Y"


@on_each
@in_both_ways
@pytest.mark.parametrize("is_raw", [False, True])
def test_values_whose_save_has_failed_are_marked_when_the_database_makes_their_key(
    customers: Reference, ann: Customer, alias: str, failing: Break, *, is_raw: bool
) -> None:
    row = Customer(name="Bob", email="bob@x.org")
    failing(row, alias)
    # A key may be spent on a row that was refused.
    following = range(ann.pk + 1, ann.pk + 6)
    plain(Customer, alias).filter(pk__in=following).delete()
    assert {shown(customers, pk) for pk in following} == {None}

    if is_raw:
        sql = "INSERT INTO testapp_customer (name, tier, email, is_active) VALUES (%s, %s, %s, %s)"
        execute(alias, sql, params=["Bob", row.tier, row.email, True])
    else:
        plain(Customer, alias).bulk_create([Customer(name="Bob", email=row.email)])

    pk = Customer.objects.using(alias).get(name="Bob").pk
    assert pk in following
    assert shown(customers, pk) == "Bob"


# Rows that are written beside the one that is saved


@on_each
def test_a_row_that_a_handler_inserts_with_the_same_values_is_seen(
    registry: ReferenceCache, alias: str
) -> None:
    devices = refer(registry, Device, alias, "serial")
    assert [shown(devices, key) for key in (A_KEY, ANOTHER_KEY)] == [None, None]

    def insert_another(instance: Device, **_: Any) -> None:
        another = Device(pk=ANOTHER_KEY, serial=instance.serial)
        plain(Device, alias).bulk_create([another])

    with on_pre_save(Device, insert_another):
        Device(pk=A_KEY, serial="Y").save(using=alias, force_insert=True)

    assert [shown(devices, key) for key in (A_KEY, ANOTHER_KEY)] == ["Y", "Y"]


@on_each
def test_a_row_that_a_handler_updates_is_not_taken_for_the_one_that_is_saved(
    customers: Reference, ann: Customer, alias: str
) -> None:
    bob = Customer.objects.using(alias).create(name="Bob")
    assert shown(customers, bob.pk) == "Bob"

    def rename_bob(**_: Any) -> None:
        plain(Customer, alias).filter(pk=bob.pk).update(name="Bea")

    ann.name = "Anna"
    with on_pre_save(Customer, rename_bob):
        ann.save(using=alias)

    assert [shown(customers, row.pk) for row in (ann, bob)] == ["Anna", "Bea"]


def by_sql(parent: Account, alias: str) -> None:
    sql = "INSERT INTO testapp_subscriber (account_ptr_id, plan) VALUES (%s, %s)"
    execute(alias, sql, params=[parent.pk, "monthly"])


def as_fixtures_do(parent: Account, alias: str) -> None:
    Subscriber(account_ptr_id=parent.pk, plan="monthly").save_base(raw=True, using=alias)


@on_each
@pytest.mark.parametrize("add", [by_sql, as_fixtures_do])
def test_a_child_added_to_a_parent_is_found_by_a_key_of_the_parents_table(
    registry: ReferenceCache, alias: str, add: Callable[[Account, str], None]
) -> None:
    mails = refer(registry, Subscriber, alias, key="email")
    parent = Account.objects.using(alias).create(name="Ann", email="ann@x.org")
    assert shown(mails, "ann@x.org") is None

    add(parent, alias)

    assert shown(mails, "ann@x.org") == "Ann"


# Keys that the database makes


@on("mariadb", "sqlite")
@pytest.mark.parametrize("given", [None, 0])
def test_a_key_that_stands_for_a_new_one_is_not_taken_for_it(
    customers: Reference, ann: Customer, alias: str, given: int | None
) -> None:
    following = [0, ann.pk + 1, ann.pk + 2]
    assert {shown(customers, pk) for pk in following} == {None}

    sql = "INSERT INTO testapp_customer (id, name, tier, is_active) VALUES (%s, %s, %s, %s)"
    with connections[alias].cursor() as cursor:
        cursor.execute(sql, [given, "Bob", "basic", True])

    # SQLite makes one for NULL only.
    pk = Customer.objects.using(alias).get(name="Bob").pk
    assert pk in following
    assert shown(customers, pk) == "Bob"
