"""Readers that fail or are cancelled while they load: nobody waits for them."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from threading import Event

import pytest
import redis
from asgiref.sync import sync_to_async

from refcache import ReferenceCache
from refcache.reference import Reference
from tests.integration.conftest import NewRegistry
from tests.integration.watching import LIMIT, after_each_statement, in_new_loop, state, statements
from tests.testapp.models import Customer

pytestmark = pytest.mark.django_db(transaction=True)

Look = Callable[[int], str]


class OddError(Exception):
    """Is none of the database's."""


@pytest.fixture
def customers(registry: ReferenceCache) -> Reference:
    registry.register("testapp.Customer", ["name"], name="customer")
    return registry["customer"]


@pytest.fixture
def look(client: redis.Redis, new_registry: NewRegistry) -> Look:
    return lambda pk: state(client, new_registry.prefix, f"customer:{pk}")


@pytest.fixture
def pks(customers: Reference) -> list[int]:
    """Customers whose entries are cold."""
    assert customers.name == "customer"
    return [Customer.objects.create(name=name).pk for name in "ab"]


def raising(error: type[BaseException]) -> Callable[[str], None]:
    def act(_: str) -> None:
        raise error

    return act


@pytest.mark.parametrize("error", [OddError, SystemExit, KeyboardInterrupt])
def test_an_exception_that_is_not_the_databases_gives_the_leases_back(
    customers: Reference, pks: list[int], look: Look, error: type[BaseException]
) -> None:
    with pytest.raises(error), after_each_statement(raising(error)):
        customers.get_many(pks)

    assert [look(pk) for pk in pks] == ["nothing", "nothing"]
    with statements() as sent:
        assert len(customers.get_many(pks)) == 2
    assert len(sent) == 1
    assert [look(pk) for pk in pks] == ["value", "value"]


def test_a_cancelled_read_gives_its_leases_back(
    customers: Reference, pks: list[int], look: Look
) -> None:
    go = Event()

    async def main() -> list[str]:
        loop, loading = asyncio.get_running_loop(), asyncio.Event()

        def hold(_: str) -> None:
            loop.call_soon_threadsafe(loading.set)
            assert go.wait(LIMIT)

        holding = after_each_statement(hold)
        await sync_to_async(holding.__enter__)()
        reader = asyncio.create_task(customers.aget_many(pks))
        try:
            await asyncio.wait_for(loading.wait(), LIMIT)
            assert [look(pk) for pk in pks] == ["lease", "lease"]
            reader.cancel()
            with suppress(asyncio.CancelledError):
                await reader
            return [look(pk) for pk in pks]
        finally:
            go.set()
            await sync_to_async(holding.__exit__)(None, None, None)

    assert in_new_loop(main()) == ["nothing", "nothing"]

    assert len(customers.get_many(pks)) == 2
    assert [look(pk) for pk in pks] == ["value", "value"]
