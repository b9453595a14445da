"""Transactions that Django does not make, or that see no latest commit, and those of tests."""

import unittest
from collections.abc import Callable

import pytest
import redis
from django.db import connections, transaction
from django.test import TestCase, TransactionTestCase

from refcache import ReferenceCache
from refcache.reference import Reference
from tests.integration.conftest import NewRegistry
from tests.integration.test_databases import on_each_database
from tests.integration.watching import in_thread, state
from tests.testapp.models import Customer, Meter

Look = Callable[[], str]

on_postgres = pytest.mark.django_db(transaction=True)
SNAPSHOTS = ["REPEATABLE READ", "SERIALIZABLE"]


@pytest.fixture
def alias() -> str:
    return "default"


@pytest.fixture
def customers(alias: str, registry: ReferenceCache) -> Reference:
    registry.register("testapp.Customer", ["name"], name="customer", using=alias)
    return registry["customer"]


@pytest.fixture
def ann(alias: str, customers: Reference) -> Customer:
    """A customer whose entry is warm."""
    ann = Customer.objects.using(alias).create(name="Ann", email="ann@x.org")
    customers.get(ann.pk)
    return ann


@pytest.fixture
def look(client: redis.Redis, new_registry: NewRegistry, ann: Customer) -> Look:
    pk = ann.pk
    return lambda: state(client, new_registry.prefix, f"customer:{pk}")


def name_of(reference: Reference, pk: object) -> str | None:
    found = reference.get(pk)
    return found.name if found else None


@pytest.mark.parametrize("alias", on_each_database())
def test_a_transaction_that_was_begun_by_hand_fills_and_releases_nothing(
    alias: str, customers: Reference, ann: Customer, look: Look
) -> None:
    with connections[alias].cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("UPDATE testapp_customer SET name = 'Bea' WHERE id = %s", [ann.pk])
        assert name_of(customers, ann.pk) == "Bea"
        assert look() == "marker"
        assert in_thread(lambda: name_of(customers, ann.pk)) == "Ann"
        cursor.execute("COMMIT")

    assert look() == "marker"
    assert name_of(customers, ann.pk) == "Bea"


@pytest.mark.parametrize("alias", on_each_database())
def test_a_save_in_a_transaction_begun_by_hand_is_not_released_by_its_signal(
    alias: str, customers: Reference, ann: Customer, look: Look
) -> None:
    with connections[alias].cursor() as cursor:
        cursor.execute("BEGIN")
        ann.name = "Bea"
        ann.save(using=alias)
        assert look() == "marker"
        assert in_thread(lambda: name_of(customers, ann.pk)) == "Ann"
        cursor.execute("ROLLBACK")

    assert name_of(customers, ann.pk) == "Ann"


@pytest.mark.parametrize("alias", on_each_database())
def test_only_read_committed_fills_before_it_has_written(
    alias: str, customers: Reference, ann: Customer, look: Look
) -> None:
    customers.invalidate(ann.pk)

    with transaction.atomic(using=alias):
        assert name_of(customers, ann.pk) == "Ann"

    assert look() == ("value" if alias == "default" else "nothing")


@pytest.mark.parametrize("alias", on_each_database())
def test_a_transaction_that_has_written_anything_fills_nothing(
    alias: str, customers: Reference, ann: Customer, look: Look
) -> None:
    customers.invalidate(ann.pk)

    with transaction.atomic(using=alias):
        Meter.objects.using(alias).create(site="north", number=1, unit="kWh")
        assert name_of(customers, ann.pk) == "Ann"

    assert look() == "nothing"


@pytest.mark.parametrize("level", SNAPSHOTS)
@on_postgres
def test_a_snapshot_fills_nothing(
    customers: Reference, ann: Customer, look: Look, level: str
) -> None:
    customers.invalidate(ann.pk)

    with transaction.atomic(), connections["default"].cursor() as cursor:
        cursor.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
        assert name_of(customers, ann.pk) == "Ann"

    assert look() == "nothing"


def run(case: type[unittest.TestCase]) -> unittest.TestResult:
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
    assert result.testsRun == 2
    assert not result.errors + result.failures, result
    return result


def stored(client: redis.Redis, prefix: bytes) -> bytes:
    """All that stands in Redis for the registry."""
    found = [client.get(key) for key in client.scan_iter(prefix + b"*")]
    return b"".join(each for each in found if isinstance(each, bytes))


@on_postgres
def test_a_test_case_reads_right_values_and_leaves_none(
    customers: Reference, client: redis.Redis, new_registry: NewRegistry
) -> None:
    class CustomerTests(TestCase):
        pk: int

        @classmethod
        def setUpTestData(cls) -> None:
            cls.pk = Customer.objects.create(name="Uncommitted").pk

        def test_update(self) -> None:
            assert name_of(customers, self.pk) == "Uncommitted"
            Customer.objects.update(name="Uncommitted, too")
            assert name_of(customers, self.pk) == "Uncommitted, too"

        def test_update_of_some(self) -> None:
            assert name_of(customers, self.pk) == "Uncommitted"
            Customer.objects.filter(pk=self.pk).delete()
            assert customers.get(self.pk) is None

    run(CustomerTests)

    assert b"Uncommitted" not in stored(client, new_registry.prefix)
    assert customers.get(CustomerTests.pk) is None


@on_postgres
def test_a_transaction_test_case_reads_right_values_and_its_flush_is_seen(
    customers: Reference,
) -> None:
    keys: list[int] = []

    class CustomerTests(TransactionTestCase):
        def test_update(self) -> None:
            pk = Customer.objects.create(name="Flushed").pk
            keys.append(pk)
            assert name_of(customers, pk) == "Flushed"
            Customer.objects.update(name="Flushed, too")
            assert name_of(customers, pk) == "Flushed, too"

        test_again = test_update

    run(CustomerTests)

    assert [customers.get(pk) for pk in keys] == [None, None]
