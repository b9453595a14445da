"""Whoever has written reads it, whatever Redis has heard of it."""

from collections.abc import Iterator

import pytest
from django.db import connection, transaction

from refcache import ReferenceCache
from refcache.core.operations import Mark
from refcache.reference import Reference
from tests.integration.interposing import fail
from tests.integration.test_load_limits import locked
from tests.testapp.models import Company, Customer

pytestmark = pytest.mark.django_db(transaction=True)

RENAMES = """
CREATE FUNCTION rename_customer(which bigint, text varchar) RETURNS int LANGUAGE plpgsql AS $$
BEGIN UPDATE testapp_customer SET name = text WHERE id = which; RETURN 1; END $$
"""


@pytest.fixture
def customers(registry: ReferenceCache) -> Reference:
    registry.register("testapp.Customer", ["name"], name="customer")
    return registry["customer"]


@pytest.fixture
def ann(customers: Reference) -> Customer:
    """A customer whose entry is warm."""
    ann = Customer.objects.create(name="Ann")
    customers.get(ann.pk)
    return ann


@pytest.fixture
def _renames() -> Iterator[None]:
    """A function in the database that writes, called by a SELECT that nobody takes for one."""
    with connection.cursor() as cursor:
        cursor.execute(RENAMES)
        yield
        cursor.execute("DROP FUNCTION rename_customer")


def name_of(reference: Reference, pk: int) -> str | None:
    found = reference.get(pk)
    return found.name if found else None


@pytest.mark.usefixtures("_renames")
@pytest.mark.parametrize("load_timeout", [None, 5.0])
def test_what_a_function_has_written_is_read_in_its_transaction(
    registry: ReferenceCache, load_timeout: float | None
) -> None:
    registry.register("testapp.Customer", ["name"], name="customer", load_timeout=load_timeout)
    customers = registry["customer"]
    ann, bob = (Customer.objects.create(name=name) for name in ("Ann", "Bob"))

    with transaction.atomic():
        customers.get(bob.pk)  # Asks whether it may fill: it may, as yet.
        with connection.cursor() as cursor:
            cursor.execute("SELECT rename_customer(%s, 'Ida')", [ann.pk])
        customers.invalidate(ann.pk)
        assert name_of(customers, ann.pk) == "Ida"


def test_a_write_whose_mark_failed_is_read_in_its_transaction(
    registry: ReferenceCache, customers: Reference, ann: Customer
) -> None:
    fail(registry, Mark, failures=1)

    with transaction.atomic():
        Customer.objects.filter(pk=ann.pk).update(name="Ida")
        assert name_of(customers, ann.pk) == "Ida"


def test_a_hook_that_runs_before_the_release_reads_what_was_committed(
    registry: ReferenceCache, customers: Reference, ann: Customer
) -> None:
    seen: list[str | None] = []
    fail(registry, Mark, failures=1)

    with transaction.atomic():
        transaction.on_commit(lambda: seen.append(name_of(customers, ann.pk)))
        Customer.objects.filter(pk=ann.pk).update(name="Ida")

    assert seen == ["Ida"]
    assert not registry.invalidation.is_owing


def test_a_slow_table_takes_no_other_tables_answers(registry: ReferenceCache) -> None:
    limits = {"load_timeout": 0.3, "on_error": "omit"}
    registry.register("testapp.Customer", ["name"], name="customer", **limits)  # type: ignore[arg-type]  # a dictionary's
    registry.register("testapp.Company", ["name"], name="company", **limits)  # type: ignore[arg-type]  # as above
    company = Company.objects.create(name="ACME", code="a")
    ann = Customer.objects.create(name="Ann")

    with locked():
        found = registry.lookup({"customer": [ann.pk], "company": [company.pk]})

    assert found["customer"].has_failed(ann.pk)
    assert found["company"][company.pk].name == "ACME"
