"""A transaction fills only while it has written nothing, and sees the latest commit."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

import pytest
import redis
from django.db import connections, transaction

from refcache import ReferenceCache
from refcache.reference import Reference
from tests.integration.conftest import NewRegistry
from tests.integration.watching import (
    after_each_statement,
    execute_unseen,
    in_thread,
    state,
    statements,
)
from tests.testapp.models import Company, Customer

pytestmark = pytest.mark.django_db(transaction=True)

Look = Callable[[], str]

mariadb = pytest.mark.django_db(transaction=True, databases=["mariadb"])
sqlite = pytest.mark.django_db(transaction=True, databases=["sqlite"])


class WrongError(Exception):
    """What a block raises to be rolled back."""


@pytest.fixture
def alias(request: pytest.FixtureRequest) -> str:
    marker = request.node.get_closest_marker("django_db")
    return str(marker.kwargs.get("databases", ["default"])[0])


@pytest.fixture
def customers(registry: ReferenceCache, alias: str) -> Reference:
    registry.register("testapp.Customer", ["name"], name="customer", using=alias)
    return registry["customer"]


@pytest.fixture
def ann(customers: Reference, alias: str) -> Customer:
    """A customer whose entry is cold."""
    assert customers.alias == alias
    return Customer.objects.using(alias).create(name="Ann")


@pytest.fixture
def look(client: redis.Redis, new_registry: NewRegistry, ann: Customer) -> Look:
    return lambda: state(client, new_registry.prefix, f"customer:{ann.pk}")


@contextmanager
def without_autocommit() -> Iterator[None]:
    transaction.set_autocommit(False)
    try:
        yield
        transaction.rollback()
    finally:
        transaction.set_autocommit(True)


def execute(sql: str, alias: str = "default") -> None:
    with connections[alias].cursor() as cursor:
        cursor.execute(sql)


def company(alias: str = "default") -> None:
    """Write something else than what is read."""
    Company.objects.using(alias).create(name="ACME", code="a")


@pytest.mark.parametrize("block", [transaction.atomic, without_autocommit])
def test_one_that_has_written_nothing_fills(
    customers: Reference,
    ann: Customer,
    look: Look,
    block: Callable[[], AbstractContextManager[None]],
) -> None:
    with block():
        assert customers.get(ann.pk)
        assert look() == "value"

    assert look() == "value"


@pytest.mark.parametrize("block", [transaction.atomic, without_autocommit])
def test_one_that_has_written_does_not_fill(
    customers: Reference,
    ann: Customer,
    look: Look,
    block: Callable[[], AbstractContextManager[None]],
) -> None:
    with block():
        company()
        assert customers.get(ann.pk)
        assert look() == "nothing"

    assert look() == "nothing"


def test_one_that_has_written_unseen_does_not_fill_either(
    customers: Reference, ann: Customer, look: Look
) -> None:
    with transaction.atomic():
        execute_unseen("UPDATE testapp_customer SET name = 'Bea'")
        found = customers.get(ann.pk)
        assert found is not None
        assert found.name == "Bea"

    assert look() == "nothing"


def test_what_was_written_after_the_question_and_before_the_rows_is_not_stored(
    registry: ReferenceCache, ann: Customer
) -> None:
    """As by a wrapper that writes when it sees a query."""
    # Else the marker of the write would be enough.
    registry.register("testapp.Customer", ["name"], name="quiet", watch_sql=False)

    def write(sql: str) -> None:
        if "pg_current_xact_id_if_assigned" in sql and not written:
            written.append(sql)
            execute("UPDATE testapp_customer SET name = 'Bea'")

    written: list[str] = []
    with transaction.atomic(), after_each_statement(write):
        registry["quiet"].get(ann.pk)
        transaction.set_rollback(True)

    found = registry["quiet"].get(ann.pk)
    assert written
    assert found is not None
    assert found.name == "Ann"


def test_it_fills_until_its_first_write(customers: Reference, ann: Customer, look: Look) -> None:
    bob = Customer.objects.create(name="Bob")

    with transaction.atomic():
        customers.get(bob.pk)
        company()
        customers.get(ann.pk)

    assert look() == "nothing"
    with statements() as sent:
        customers.get(bob.pk)
    assert sent == []


def test_what_its_own_savepoint_undid_it_may_not_have_written(
    customers: Reference, ann: Customer, look: Look
) -> None:
    with transaction.atomic():
        with suppress(WrongError), transaction.atomic():
            Customer.objects.filter(pk=ann.pk).update(name="Bea")
            assert customers.get(ann.pk) == customers.get(ann.pk)
            raise WrongError
        customers.get(ann.pk)

    found = customers.get(ann.pk)
    assert found is not None
    assert found.name == "Ann"
    assert look() == "value"


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
@pytest.mark.parametrize("block", [transaction.atomic, without_autocommit])
def test_one_that_reads_a_snapshot_never_fills(
    customers: Reference,
    ann: Customer,
    look: Look,
    level: str,
    block: Callable[[], AbstractContextManager[None]],
) -> None:
    with block():
        execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
        Company.objects.exists()  # It takes its snapshot now.
        in_thread(lambda: Customer.objects.filter(pk=ann.pk).update(name="Bea"))
        found = customers.get(ann.pk)
        assert found is not None
        assert found.name == "Ann"
        assert look() == "nothing"

    found = customers.get(ann.pk)
    assert found is not None
    assert found.name == "Bea"


def test_one_that_somebody_began_by_sql_is_asked_too(
    customers: Reference, ann: Customer, look: Look
) -> None:
    execute("BEGIN")
    execute("UPDATE testapp_customer SET name = 'Bea'")
    customers.get(ann.pk)
    execute("ROLLBACK")

    found = customers.get(ann.pk)
    assert found is not None
    assert found.name == "Ann"
    assert look() == "value" or customers.get(ann.pk) == found


@mariadb
def test_on_mariadb_none_fills(customers: Reference, ann: Customer, look: Look) -> None:
    with transaction.atomic(using="mariadb"):
        assert customers.get(ann.pk)
        assert look() == "nothing"

    customers.get(ann.pk)
    assert look() == "value"


@sqlite
def test_on_sqlite_none_fills(customers: Reference, ann: Customer, look: Look) -> None:
    with transaction.atomic(using="sqlite"):
        assert customers.get(ann.pk)
        assert look() == "nothing"

    customers.get(ann.pk)
    assert look() == "value"
