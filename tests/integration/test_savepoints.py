"""A transaction has one token and one hook, however many savepoints it is made of."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import redis
from django.db import connection, connections, transaction

from refcache import ReferenceCache
from refcache.reference import Reference
from tests.integration.conftest import NewRegistry
from tests.integration.watching import in_thread, redis_commands, state
from tests.testapp.models import Customer

pytestmark = pytest.mark.django_db(transaction=True)

SAVEPOINTS = 50

Look = Callable[[Customer], str]


class WrongError(Exception):
    """What a block raises to be rolled back."""


@pytest.fixture
def customers(registry: ReferenceCache) -> Reference:
    registry.register("testapp.Customer", ["name"], name="customer")
    return registry["customer"]


@pytest.fixture
def rows(customers: Reference) -> list[Customer]:
    """Customers whose entries are warm, and whose writer knows the schemas that are alive."""
    rows = [Customer.objects.create(name=f"c{n}") for n in range(SAVEPOINTS)]
    customers.get_many([row.pk for row in rows])
    customers.invalidate(10**9)
    return rows


@pytest.fixture
def look(client: redis.Redis, new_registry: NewRegistry) -> Look:
    return lambda row: state(client, new_registry.prefix, f"customer:{row.pk}")


def rename(row: Customer, name: str) -> None:
    row.name = name
    row.save()


def name_of(reference: Reference, row: Customer) -> str | None:
    found = reference.get(row.pk)
    return found.name if found else None


def test_fifty_savepoints_are_released_by_one_call(
    rows: list[Customer], client: redis.Redis, new_registry: NewRegistry, look: Look
) -> None:
    with redis_commands(client, new_registry.prefix) as commands, transaction.atomic():
        for row in rows:
            with transaction.atomic():
                rename(row, "new")

    assert commands == ["mark"] * SAVEPOINTS + ["release"]
    assert {look(row) for row in rows} == {"nothing"}


def test_fifty_savepoints_need_no_more_hooks_than_one(rows: list[Customer]) -> None:
    hooks = []
    with transaction.atomic():
        for row in rows:
            with transaction.atomic():
                rename(row, "new")
            hooks.append(len(connection.run_on_commit))

    assert set(hooks) == {hooks[0]}  # the project's own registry has one, too


def test_a_row_that_is_saved_in_many_savepoints_is_marked_once(
    rows: list[Customer], client: redis.Redis, new_registry: NewRegistry
) -> None:
    with redis_commands(client, new_registry.prefix) as commands, transaction.atomic():
        for name in "abc":
            with transaction.atomic():
                rename(rows[0], name)

    assert commands == ["mark", "release"]


def test_a_write_after_a_savepoints_rollback_is_marked_again_and_released(
    customers: Reference,
    rows: list[Customer],
    client: redis.Redis,
    new_registry: NewRegistry,
    look: Look,
) -> None:
    row = rows[0]
    with transaction.atomic():
        with suppress(WrongError), transaction.atomic():
            rename(row, "rolled back")
            raise WrongError
        customers.get(10**9)  # whoever reads next releases what the savepoint has marked
        assert look(row) == "nothing"
        with redis_commands(client, new_registry.prefix) as commands:
            rename(row, "kept")
        assert commands == ["mark"]
        assert in_thread(lambda: name_of(customers, row)) == "c0"
        assert look(row) == "marker"

    assert look(row) == "nothing"
    assert name_of(customers, row) == "kept"


def test_a_hook_that_somebody_keeps_does_not_outlast_its_savepoint(
    customers: Reference, rows: list[Customer], look: Look
) -> None:
    first, second = rows[:2]
    kept = []
    with transaction.atomic():
        with suppress(WrongError), transaction.atomic():
            rename(first, "rolled back")
            kept += connection.run_on_commit  # as captureOnCommitCallbacks() does
            raise WrongError
        rename(second, "kept")

    assert kept
    assert look(second) == "nothing"
    assert [name_of(customers, row) for row in (first, second)] == ["c0", "kept"]


def test_a_savepoints_rollback_leaves_what_the_outer_level_has_marked(
    customers: Reference, rows: list[Customer], look: Look
) -> None:
    first, second = rows[:2]
    with transaction.atomic():
        rename(first, "outer")
        with suppress(WrongError), transaction.atomic():
            rename(second, "rolled back")
            raise WrongError
        customers.get(10**9)
        rename(second, "outer")
        assert look(first) == look(second) == "marker"

    assert look(first) == look(second) == "nothing"
    assert [name_of(customers, row) for row in (first, second)] == ["outer", "outer"]


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_a_commit_that_was_interrupted_leaves_the_marker_to_expire(
    registry: ReferenceCache, rows: list[Customer], look: Look, error: type[BaseException]
) -> None:
    own: Any = connections["default"]
    commit = own._commit

    def interrupted() -> None:
        own._commit = commit
        commit()
        raise error  # as a worker's timeout does, while the answer is on its way

    def save() -> None:
        with transaction.atomic():
            rename(rows[0], "new")
            own._commit = interrupted

    with pytest.raises(error):
        save()
    own.close()

    assert not registry.invalidation._transactions.dropped
    assert look(rows[0]) == "marker"
