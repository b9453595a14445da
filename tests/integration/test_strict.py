"""Where the cache cannot be told: a strict reference's rows are not written, others are."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
from django.db import connection, transaction

from refcache import InvalidationError, ReferenceCache
from refcache.querysets import ReferenceManager
from tests.integration.conftest import NewRegistry
from tests.integration.watching import LIMIT, statements
from tests.servers.redis_server import RedisServer
from tests.testapp.models import Company, Customer

pytestmark = pytest.mark.django_db(transaction=True)

Write = Callable[[Customer], object]


def names() -> list[str]:
    """Those in the database."""
    return list(Customer.objects.order_by("pk").values_list("name", flat=True))


def save(ann: Customer) -> None:
    ann.name = "Bea"
    ann.save()


def execute(ann: Customer) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE testapp_customer SET name = 'Bea' WHERE id = %s", [ann.pk])


def execute_many(ann: Customer) -> None:
    with connection.cursor() as cursor:
        cursor.executemany("UPDATE testapp_customer SET name = %s WHERE id = %s", [("Bea", ann.pk)])


def told() -> Any:
    """What a manager that tells of bulk writes offers."""
    manager: Any = ReferenceManager()
    manager.model = Customer
    return manager


WRITES: dict[str, Write] = {
    "save": save,
    "create": lambda _: Customer.objects.create(pk=10**9, name="Bob"),
    "update": lambda ann: Customer.objects.filter(pk=ann.pk).update(name="Bea"),
    "bulk_create": lambda _: Customer.objects.bulk_create([Customer(name="Bob")]),
    "bulk_update": lambda ann: Customer.objects.bulk_update(
        [Customer(pk=ann.pk, name="Bea")], ["name"]
    ),
    "execute": execute,
    "executemany": execute_many,
    "delete": lambda ann: ann.delete(),
    "delete of a queryset": lambda ann: Customer.objects.filter(pk=ann.pk).delete(),
    "told update": lambda ann: told().filter(pk=ann.pk).update(name="Bea"),
    "told bulk_create": lambda _: told().bulk_create([Customer(name="Bob")]),
    "told delete": lambda ann: told().filter(pk=ann.pk).delete(),
}


@pytest.fixture
def ann() -> Customer:
    return Customer.objects.create(name="Ann")


@pytest.fixture(params=[nullcontext, transaction.atomic], ids=["autocommit", "transaction"])
def block(request: pytest.FixtureRequest) -> Iterator[AbstractContextManager[None]]:
    return request.param()  # type: ignore[no-any-return]  # one of the two


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_nothing_is_written_that_cannot_be_marked(
    registry: ReferenceCache,
    redis_server: RedisServer,
    ann: Customer,
    write: Write,
    block: AbstractContextManager[None],
) -> None:
    registry.register("testapp.Customer", ["name"], name="customer", strict=True)
    redis_server.stop()

    with pytest.raises(InvalidationError), block:
        write(ann)

    assert names() == ["Ann"]


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_otherwise_it_is_written_and_released_later(
    registry: ReferenceCache,
    redis_server: RedisServer,
    ann: Customer,
    write: Write,
    block: AbstractContextManager[None],
) -> None:
    registry.register("testapp.Customer", ["name"], name="customer")
    registry["customer"].get(ann.pk)
    registry.recovery.retry_after = LIMIT
    redis_server.stop()

    with block:
        write(ann)

    assert names() != ["Ann"]
    assert len(registry.recovery) > 0
    redis_server.start()
    assert registry.recovery.retry()


def test_the_message_says_what_was_not_written_and_what_to_do(
    registry: ReferenceCache, redis_server: RedisServer, ann: Customer
) -> None:
    registry.register("testapp.Customer", ["name"], name="customer", strict=True)
    redis_server.stop()

    with pytest.raises(InvalidationError) as caught:
        ann.save()

    message = str(caught.value)
    assert message.startswith("Rows of customer cannot be marked in the cache, so that nothing")
    assert "Retry when Redis is back, or register with strict=False." in message
    assert caught.value.__cause__ is not None


def test_the_setting_holds_for_references_that_do_not_say(
    new_registry: NewRegistry, redis_server: RedisServer, settings: Any, ann: Customer
) -> None:
    settings.REFCACHE = settings.REFCACHE | {"STRICT": True}
    registry = new_registry()
    registry.register("testapp.Customer", ["name"], name="customer")
    registry.register("testapp.Company", ["name"], name="company", strict=False)
    redis_server.stop()

    with pytest.raises(InvalidationError):
        ann.save()


def test_rows_that_no_strict_reference_reads_are_written(
    registry: ReferenceCache, redis_server: RedisServer, ann: Customer
) -> None:
    registry.register("testapp.Customer", ["name"], name="customer", strict=True)
    redis_server.stop()

    Company.objects.create(name="ACME", code="a")
    ann.save(update_fields=["tier"])

    assert Company.objects.exists()


def test_a_spanned_row_is_as_strict_as_who_reads_it(
    registry: ReferenceCache, redis_server: RedisServer
) -> None:
    registry.register("testapp.Customer", ["company__name"], name="customer", strict=True)
    company = Company.objects.create(name="ACME", code="a")
    redis_server.stop()

    with pytest.raises(InvalidationError), statements() as sent:
        company.save()

    assert sent == []


def test_an_invalidation_is_refused_too(
    registry: ReferenceCache, redis_server: RedisServer, ann: Customer
) -> None:
    registry.register("testapp.Customer", ["name"], name="customer", strict=True)
    redis_server.stop()

    with pytest.raises(InvalidationError):
        registry["customer"].invalidate(ann.pk)
