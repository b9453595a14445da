"""Writes in autocommit: marked before the row changes, released after it."""

import gc
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
import redis
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.db.models import F, Model
from django.db.models.functions import Concat
from django.db.models.signals import post_save, pre_save

from refcache import ReferenceCache
from refcache.core.events import Marked, Released, StoreFailed
from refcache.core.operations import Release
from refcache.reference import Reference
from tests.integration.conftest import NewRegistry
from tests.integration.interposing import fail
from tests.integration.watching import (
    LIMIT,
    in_new_loop,
    redis_commands,
    state,
    statements,
    update_unseen,
)
from tests.servers.process import wait_until
from tests.servers.redis_server import RedisServer
from tests.testapp.models import Cafe, Company, Customer, Place

pytestmark = pytest.mark.django_db(transaction=True)

Look = Callable[[str], str]


@pytest.fixture
def customers(registry: ReferenceCache) -> Reference:
    registry.register("testapp.Customer", ["name", "company_id", "email"], name="customer")
    return registry["customer"]


@pytest.fixture
def look(client: redis.Redis, new_registry: NewRegistry) -> Look:
    """Says what stands in Redis under a name."""
    return lambda name: state(client, new_registry.prefix, name)


@pytest.fixture
def ann(customers: Reference) -> Customer:
    """A customer whose entry is warm."""
    ann = Customer.objects.create(name="Ann", email="ann@x.org")
    customers.get(ann.pk)
    return ann


@contextmanager
def at_each_statement(act: Callable[[str], None]) -> Iterator[None]:
    def wrapper(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        act(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(wrapper):
        yield


def name_of(reference: Reference, pk: int) -> str | None:
    found = reference.get(pk)
    return found.name if found else None


def test_a_save_is_seen_by_the_next_read(customers: Reference, ann: Customer) -> None:
    ann.name = "Bea"
    ann.save()

    assert name_of(customers, ann.pk) == "Bea"


def test_the_marker_stands_before_the_statement_and_is_gone_after_it(
    customers: Reference, ann: Customer, look: Look
) -> None:
    seen = []
    with at_each_statement(lambda sql: seen.append((sql[:6], look(f"customer:{ann.pk}")))):
        ann.save()

    assert customers.name == "customer"
    assert seen == [("UPDATE", "marker")]
    assert look(f"customer:{ann.pk}") == "nothing"


def test_while_it_is_marked_a_read_goes_to_the_database_and_does_not_fill(
    customers: Reference, ann: Customer, look: Look
) -> None:
    inside: list[Any] = []

    def read(sql: str) -> None:
        if sql.startswith("UPDATE") and not inside:
            inside.append(None)
            inside.append((name_of(customers, ann.pk), look(f"customer:{ann.pk}")))

    ann.name = "Bea"
    with at_each_statement(read):
        ann.save()

    assert inside[1] == ("Ann", "marker")
    assert name_of(customers, ann.pk) == "Bea"


def test_a_created_row_replaces_a_remembered_absence(customers: Reference, look: Look) -> None:
    assert customers.get(10**9) is None
    assert look(f"customer:{10**9}") == "absent"

    Customer.objects.create(pk=10**9, name="Late")

    assert name_of(customers, 10**9) == "Late"


def test_an_absence_is_forgotten_when_the_database_makes_the_key(
    customers: Reference, ann: Customer
) -> None:
    following = ann.pk + 1
    assert customers.get(following) is None

    assert Customer.objects.create(name="Next").pk == following

    assert name_of(customers, following) == "Next"


def test_a_delete_is_seen_by_the_next_read(customers: Reference, ann: Customer) -> None:
    pk = ann.pk

    ann.delete()

    assert customers.get(pk) is None


def test_a_deleted_queryset_is_seen_by_the_next_read(
    customers: Reference, ann: Customer, look: Look
) -> None:
    bob = Customer.objects.create(name="Bob")
    customers.get(bob.pk)
    seen = []
    with at_each_statement(lambda sql: seen.append((sql.split()[0], look(f"customer:{ann.pk}")))):
        Customer.objects.filter(pk__in=[ann.pk, bob.pk]).delete()

    assert customers.get_many([ann.pk, bob.pk]) == {}
    assert ("DELETE", "marker") in seen
    assert ("DELETE", "value") not in seen


def test_update_or_create_and_get_or_create_are_seen(customers: Reference, ann: Customer) -> None:
    Customer.objects.update_or_create(pk=ann.pk, defaults={"name": "Bea"})
    assert name_of(customers, ann.pk) == "Bea"

    assert customers.get(10**9) is None
    Customer.objects.get_or_create(pk=10**9, defaults={"name": "New"})
    assert name_of(customers, 10**9) == "New"


def test_rows_that_a_delete_cascades_to_are_gone(customers: Reference, ann: Customer) -> None:
    company = Company.objects.create(name="ACME", code="a")
    ann.company_code = company
    ann.save()
    assert customers.get(ann.pk)

    company.delete()

    assert customers.get(ann.pk) is None


def test_a_save_with_an_expression_is_seen(customers: Reference, ann: Customer) -> None:
    ann.name = Concat(F("name"), F("name"))
    ann.save()

    assert name_of(customers, ann.pk) == "AnnAnn"


def test_a_key_given_as_an_expression_marks_everything(
    registry: ReferenceCache, ann: Customer
) -> None:
    registry.register("testapp.Customer", ["name"], name="mail", key="email")
    assert registry["mail"].get("ANN@X.ORG") is None

    ann.email = Concat(F("name"), F("name"))
    assert registry["mail"].get("AnnAnn") is None
    ann.save()

    found = registry["mail"].get("AnnAnn")
    assert found is not None
    assert found.name == "Ann"


def test_a_deferred_column_does_not_hide_the_write(customers: Reference, ann: Customer) -> None:
    partial = Customer.objects.only("name").get(pk=ann.pk)
    partial.name = "Bea"
    partial.save()

    assert name_of(customers, ann.pk) == "Bea"


def test_update_fields_that_touch_a_declared_field_are_seen(
    customers: Reference, ann: Customer
) -> None:
    ann.name = "Bea"
    ann.save(update_fields=["name"])

    assert name_of(customers, ann.pk) == "Bea"


def test_update_fields_name_a_relation_by_either_name(customers: Reference, ann: Customer) -> None:
    company = Company.objects.create(name="ACME", code="a")
    for name, value in (("company", company), ("company_id", None)):
        customers.get(ann.pk)
        setattr(ann, name, value)
        ann.save(update_fields=[name])

        found = customers.get(ann.pk)
        assert found is not None
        assert found.company_id == getattr(value, "pk", None)


def test_update_fields_that_touch_a_filtered_column_are_seen(registry: ReferenceCache) -> None:
    registry.register("testapp.Customer", ["name"], name="active", filter={"is_active": True})
    ann = Customer.objects.create(name="Ann")
    assert registry["active"].get(ann.pk)

    ann.is_active = False
    ann.save(update_fields=["is_active"])

    assert registry["active"].get(ann.pk) is None


def test_update_fields_that_touch_nothing_declared_leave_the_entry_alone(
    customers: Reference,
    ann: Customer,
    look: Look,
    client: redis.Redis,
    new_registry: NewRegistry,
) -> None:
    with redis_commands(client, new_registry.prefix) as commands:
        ann.save(update_fields=["tier"])
        ann.save(update_fields=[])

    assert commands == []
    assert look(f"customer:{ann.pk}") == "value"
    assert customers.get(ann.pk)


def test_a_failed_save_leaves_its_marker(customers: Reference, ann: Customer, look: Look) -> None:
    bob = Customer.objects.create(name="Bob", email="bob@x.org")
    customers.get(bob.pk)

    bob.email = ann.email
    with pytest.raises(IntegrityError):
        bob.save()

    assert look(f"customer:{bob.pk}") == "marker"
    assert name_of(customers, bob.pk) == "Bob"
    with statements() as sent:
        customers.get(bob.pk)
    assert len(sent) == 1


def test_a_save_after_a_failed_one_is_seen(customers: Reference, ann: Customer) -> None:
    bob = Customer.objects.create(name="Bob", email=None)
    customers.get(bob.pk)
    bob.email = ann.email
    with pytest.raises(IntegrityError):
        bob.save()

    bob.email, bob.name = "bob@x.org", "Bobby"
    bob.save()

    assert name_of(customers, bob.pk) == "Bobby"


def test_what_failed_is_forgotten_with_its_instance(
    registry: ReferenceCache, ann: Customer
) -> None:
    for n in range(3):
        with pytest.raises(IntegrityError):
            Customer(name=str(n), email=ann.email).save()
    gc.collect()
    Customer.objects.create(name="Bob")

    assert registry._hooks._receivers._announced._saves == []


@pytest.mark.parametrize("signal", [pre_save, post_save], ids=["pre", "post"])
def test_a_save_inside_a_signal_handler_is_a_write_of_its_own(
    customers: Reference, ann: Customer, look: Look, signal: Any
) -> None:
    bob = Customer.objects.create(name="Bob")
    customers.get_many([ann.pk, bob.pk])

    def save_others(instance: Model, **_: Any) -> None:
        if instance.pk != bob.pk:
            bob.name = "Bobby"
            bob.save()

    signal.connect(save_others, sender=Customer)
    try:
        ann.name = "Bea"
        ann.save()
    finally:
        signal.disconnect(save_others, sender=Customer)

    assert [look(f"customer:{pk}") for pk in (ann.pk, bob.pk)] == ["nothing", "nothing"]
    found = customers.get_many([ann.pk, bob.pk])
    assert [row.name for row in found.values()] == ["Bea", "Bobby"]


@pytest.mark.parametrize("signal", [pre_save, post_save], ids=["pre", "post"])
def test_an_instance_may_save_itself_once_more_inside_a_handler(
    customers: Reference, ann: Customer, look: Look, signal: Any
) -> None:
    again = [True]

    def save_again(instance: Customer, **_: Any) -> None:
        if again.pop() if again else False:
            instance.tier = "gold"
            instance.save()

    signal.connect(save_again, sender=Customer)
    try:
        ann.name = "Bea"
        ann.save()
    finally:
        signal.disconnect(save_again, sender=Customer)

    assert look(f"customer:{ann.pk}") == "nothing"
    assert name_of(customers, ann.pk) == "Bea"


def test_a_failed_save_inside_a_handler_does_not_keep_the_outer_one_marked(
    customers: Reference, ann: Customer, look: Look
) -> None:
    bob = Customer.objects.create(name="Bob", email="bob@x.org")

    def fail(instance: Customer, **_: Any) -> None:
        if instance.pk == ann.pk:
            bob.email = "ann@x.org"
            with pytest.raises(IntegrityError):
                bob.save()

    pre_save.connect(fail, sender=Customer)
    try:
        ann.save()
    finally:
        pre_save.disconnect(fail, sender=Customer)

    assert look(f"customer:{ann.pk}") == "nothing"
    assert look(f"customer:{bob.pk}") == "marker"
    assert customers.name == "customer"


def test_a_loaded_fixture_is_seen(customers: Reference, ann: Customer, tmp_path: Path) -> None:
    rows = [
        {"model": "testapp.customer", "pk": ann.pk, "fields": {"name": "Bea"}},
        {"model": "testapp.customer", "pk": 10**9, "fields": {"name": "New"}},
    ]
    file = tmp_path / "rows.json"
    file.write_text(json.dumps(rows))
    assert customers.get(10**9) is None

    call_command("loaddata", str(file), verbosity=0)

    found = customers.get_many([ann.pk, 10**9])
    assert [row.name for row in found.values()] == ["Bea", "New"]


def test_a_child_is_saved_together_with_its_parents(registry: ReferenceCache) -> None:
    registry.register("testapp.Place", ["name"], name="place")
    cafe = Cafe.objects.create(name="Corner", seats=4)
    registry["place"].get(cafe.pk)

    cafe.name = "Square"
    cafe.save()
    assert registry["place"].get(cafe.pk) == registry["place"].get(cafe.pk)
    found = registry["place"].get(cafe.pk)
    assert found is not None
    assert found.name == "Square"

    cafe.delete(keep_parents=True)
    assert registry["place"].get(cafe.pk or Place.objects.get().pk)


def test_saving_under_a_new_primary_key_is_another_row(customers: Reference, ann: Customer) -> None:
    old = ann.pk
    assert customers.get(10**9) is None

    ann.pk, ann.email, ann.name = 10**9, None, "Copy"
    ann.save()

    found = customers.get_many([old, 10**9])
    assert [row.name for row in found.values()] == ["Ann", "Copy"]


def test_two_references_of_one_model_are_marked_together(
    registry: ReferenceCache, customers: Reference, ann: Customer
) -> None:
    registry.register("testapp.Customer", ["name"], name="short")
    registry["short"].get(ann.pk)
    customers.get(ann.pk)
    before = registry.counts.of(Marked)

    ann.name = "Bea"
    ann.save()

    assert registry.counts.of(Marked) == before + 2
    assert name_of(customers, ann.pk) == name_of(registry["short"], ann.pk) == "Bea"


def test_invalidating_drops_what_nothing_has_seen(customers: Reference, ann: Customer) -> None:
    update_unseen(Customer.objects.filter(pk=ann.pk), name="Bea")
    assert name_of(customers, ann.pk) == "Ann"

    customers.invalidate(str(ann.pk))

    assert name_of(customers, ann.pk) == "Bea"


def test_invalidating_all_drops_every_row_of_its_reference_only(
    registry: ReferenceCache, customers: Reference, ann: Customer
) -> None:
    registry.register("testapp.Customer", ["name"], name="short")
    for each in (customers, registry["short"]):
        each.get(ann.pk)
    update_unseen(Customer.objects.all(), name="Bea")

    customers.invalidate_all()

    assert name_of(customers, ann.pk) == "Bea"
    assert name_of(registry["short"], ann.pk) == "Ann"


def test_invalidating_inside_a_transaction_holds_until_it_ends(
    customers: Reference, ann: Customer, look: Look
) -> None:
    with transaction.atomic():
        update_unseen(Customer.objects.filter(pk=ann.pk), name="Bea")
        customers.invalidate(ann.pk)
        assert look(f"customer:{ann.pk}") == "marker"

    assert look(f"customer:{ann.pk}") == "nothing"
    assert name_of(customers, ann.pk) == "Bea"


def test_invalidating_all_inside_a_transaction_holds_until_it_ends(
    registry: ReferenceCache, customers: Reference, ann: Customer, look: Look
) -> None:
    with transaction.atomic():
        update_unseen(Customer.objects.all(), name="Bea")
        customers.invalidate_all()
    assert name_of(customers, ann.pk) == "Bea"
    assert look(f"customer:{ann.pk}") == "value"

    released = registry.counts.of(Released, "customer")
    customers.invalidate_all()
    assert registry.counts.of(Released, "customer") == released + 1


@pytest.fixture
def quick_recovery(registry: ReferenceCache) -> None:
    """The background thread tries again without a pause that a test would have to wait for."""
    registry.recovery.retry_after = 0.01


@pytest.fixture
def slow_recovery(registry: ReferenceCache) -> None:
    """The background thread comes too late for the test."""
    registry.recovery.retry_after = LIMIT


def test_redis_down_does_not_stop_a_write_and_is_told(
    registry: ReferenceCache,
    ann: Customer,
    redis_server: RedisServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    redis_server.stop()

    ann.name = "Bea"
    with caplog.at_level(logging.WARNING, "refcache"):
        ann.save()

    assert Customer.objects.get(pk=ann.pk).name == "Bea"
    assert registry.counts.of(StoreFailed, "customer") == 2
    assert "StoreFailed(reference='customer', operation='mark'" in caplog.text
    assert "StoreFailed(reference='customer', operation='release'" in caplog.text


@pytest.mark.usefixtures("quick_recovery")
@pytest.mark.parametrize("in_transaction", [False, True], ids=["autocommit", "transaction"])
def test_a_release_that_redis_missed_is_made_when_it_is_back_though_nobody_asks(
    registry: ReferenceCache,
    customers: Reference,
    ann: Customer,
    redis_server: RedisServer,
    client: redis.Redis,
    *,
    in_transaction: bool,
) -> None:
    client.save()
    redis_server.stop()
    ann.name = "Bea"
    with transaction.atomic() if in_transaction else nullcontext():
        ann.save()
    assert len(registry.recovery) > 0

    redis_server.start()
    wait_until(lambda: len(registry.recovery) == 0, LIMIT)

    assert name_of(customers, ann.pk) == "Bea"


@pytest.mark.usefixtures("slow_recovery")
def test_what_cannot_be_released_is_kept(
    registry: ReferenceCache, ann: Customer, redis_server: RedisServer
) -> None:
    redis_server.stop()
    ann.save()
    waiting = len(registry.recovery)

    assert not registry.recovery.retry()

    assert len(registry.recovery) == waiting > 0
    redis_server.start()
    assert registry.recovery.retry()
    assert len(registry.recovery) == 0


@pytest.mark.usefixtures("slow_recovery")
def test_neither_reads_nor_writes_wait_for_what_is_to_be_released(
    registry: ReferenceCache, customers: Reference, ann: Customer, look: Look
) -> None:
    fail(registry, Release, failures=1)
    ann.save()

    customers.get(ann.pk)
    in_new_loop(customers.aget(ann.pk))
    Customer.objects.create(name="Bob")

    assert look(f"customer:{ann.pk}") == "marker"
    assert len(registry.recovery) == 1
