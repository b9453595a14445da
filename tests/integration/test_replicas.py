"""Rows that are filled from a streaming replica, which is behind: until its replay is resumed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import redis
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from refcache import ReferenceCache
from refcache.core.entries import pack_epoch, parse_epoch
from refcache.reference import Reference
from tests.conftest import PostgresServers
from tests.integration.conftest import NewRegistry
from tests.integration.watching import LIMIT, execute_unseen, state, statements
from tests.servers.addresses import free_port
from tests.servers.bed import Bed
from tests.servers.postgres_replica import PostgresReplica
from tests.servers.process import wait_until
from tests.testapp.models import Customer

pytestmark = pytest.mark.django_db(transaction=True)

ALIAS = "replica"
GRACE = 3600.0  # seconds: no test outlasts it
BRIEF = 0.5  # one that is waited for

Forget = Callable[[], None]


@pytest.fixture(scope="module")
def server(
    bed: Bed,
    postgres_servers: PostgresServers,
    django_db_setup: None,  # noqa: ARG001 - what is copied has the tables
) -> Iterator[PostgresReplica]:
    port = free_port()
    replica = PostgresReplica(postgres_servers.application, bed.folder / f"replica-{port}", port)
    replica.start()
    yield replica
    replica.kill()


@pytest.fixture
def replica(server: PostgresReplica) -> Iterator[PostgresReplica]:
    """The database `replica`, only while the test runs: no other test is to make or empty it."""
    server.mend()
    server.resume_replay()
    server.catch_up()
    place = {"HOST": "127.0.0.1", "PORT": server.port}
    connections.settings[ALIAS] = {**connections.settings["default"], **place}
    allow_opening(connections[ALIAS])
    yield server
    connections[ALIAS].close()
    del connections[ALIAS], connections.settings[ALIAS]


def allow_opening(connection: BaseDatabaseWrapper) -> None:
    """Django's tests open no connection but to what they announce, before there is a replica."""

    def ensure_connection() -> None:
        if connection.connection is None:
            with connection.wrap_database_errors:
                connection.connect()

    connection.ensure_connection = ensure_connection  # type: ignore[method-assign]


@pytest.fixture
def ada(replica: PostgresReplica) -> Customer:
    """Written before any reference looks, and known to the replica as "old" for ever."""
    ada = Customer.objects.create(name="old", email="old@example.org")
    replica.catch_up()
    replica.pause_replay()
    execute_unseen("UPDATE testapp_customer SET name = 'unseen' WHERE id = %s", [ada.pk])
    return ada


@pytest.fixture
def forget_grace(client: redis.Redis, new_registry: NewRegistry) -> Forget:
    """Makes each epoch as old as if `grace` had passed since it was made."""

    def forget() -> None:
        for key in client.scan_iter(new_registry.prefix + b"*"):
            raw = client.get(key)
            epoch = parse_epoch(key, raw) if isinstance(raw, bytes) else None
            if epoch:
                client.set(key, pack_epoch(key, epoch._replace(tokens=()), now=0))

    return forget


def register(registry: ReferenceCache, *fields: str, grace: float = GRACE) -> Reference:
    registry.register("testapp.Customer", fields, name="customer", fill_from=ALIAS, grace=grace)
    return registry["customer"]


@pytest.fixture
def customers(
    registry: ReferenceCache,
    ada: Customer,  # noqa: ARG001 - is older
    forget_grace: Forget,
) -> Reference:
    """Nothing of it was written within its grace, and nobody has read a row that there is."""
    customers = register(registry, "name")
    assert customers.get(0) is None
    forget_grace()
    return customers


@contextmanager
def read_from(*expected: str) -> Iterator[None]:
    """The block reads from these databases, with one statement each."""
    with statements("default") as primary, statements(ALIAS) as replica:
        yield
    assert ["default"] * len(primary) + [ALIAS] * len(replica) == list(expected)


def name_of(reference: Reference, key: object) -> str | None:
    found = reference.get(key)
    return found.name if found else None


def test_a_row_that_nobody_has_written_is_read_from_the_replica_alone(
    customers: Reference, ada: Customer
) -> None:
    with read_from(ALIAS):
        name = name_of(customers, ada.pk)

    assert name == "old"


def test_a_saved_row_is_read_from_the_primary(customers: Reference, ada: Customer) -> None:
    assert name_of(customers, ada.pk) == "old"

    ada.name = "new"
    ada.save()

    with read_from("default"):
        assert name_of(customers, ada.pk) == "new"


def test_what_was_filled_within_grace_is_refreshed_from_the_primary(
    registry: ReferenceCache, customers: Reference, ada: Customer
) -> None:
    ada.name = "new"
    ada.save()
    assert name_of(customers, ada.pk) == "new"
    execute_unseen("UPDATE testapp_customer SET name = 'newer' WHERE id = %s", [ada.pk])

    with read_from("default"):
        registry.refresh({"customer": [ada.pk]}, within=GRACE)

    assert name_of(customers, ada.pk) == "newer"


def test_a_deleted_row_is_asked_of_the_primary(customers: Reference, ada: Customer) -> None:
    assert name_of(customers, ada.pk) == "old"
    pk = ada.pk

    ada.delete()

    with read_from("default"):
        assert name_of(customers, pk) is None


def test_the_keys_of_an_index_are_asked_of_the_primary(
    registry: ReferenceCache, ada: Customer, forget_grace: Forget
) -> None:
    registry.register(
        "testapp.Customer", ["name"], name="by-email", key="email", fill_from=ALIAS, grace=GRACE
    )
    by_email = registry["by-email"]
    assert by_email.get("nobody@example.org") is None
    forget_grace()
    assert name_of(by_email, "old@example.org") == "old"

    ada.name, ada.email = "new", "new@example.org"
    ada.save()

    with statements(ALIAS) as asked:
        found = by_email.get_many(["old@example.org", "new@example.org"])
    assert asked == []
    assert {key: row.name for key, row in found.items()} == {"new@example.org": "new"}


def test_rows_of_a_bulk_update_are_read_from_the_primary(
    customers: Reference, ada: Customer
) -> None:
    assert name_of(customers, ada.pk) == "old"

    Customer.objects.filter(name="unseen").update(name="new")

    with read_from("default"):
        assert name_of(customers, ada.pk) == "new"


@pytest.mark.usefixtures("customers")
def test_a_new_schema_reads_the_primary(new_registry: NewRegistry, ada: Customer) -> None:
    changed = register(new_registry(), "name", "tier")

    with read_from("default"):
        assert name_of(changed, ada.pk) == "unseen"


def test_after_grace_the_replica_is_read_again(
    registry: ReferenceCache,
    ada: Customer,
    replica: PostgresReplica,
    forget_grace: Forget,
    client: redis.Redis,
    new_registry: NewRegistry,
) -> None:
    customers = register(registry, "name", grace=BRIEF)
    assert name_of(customers, ada.pk) == "unseen"
    forget_grace()
    ada.name = "new"
    ada.save()
    replica.resume_replay()
    replica.catch_up()

    # Redis ends the tombstone: nobody has read the row.
    look = f"customer:{ada.pk}"
    wait_until(lambda: state(client, new_registry.prefix, look) == "nothing", LIMIT)

    with read_from(ALIAS):
        assert name_of(customers, ada.pk) == "new"


def test_the_primary_answers_where_the_replica_is_stopped(
    customers: Reference, ada: Customer, replica: PostgresReplica
) -> None:
    replica.stop()

    with read_from("default"):
        assert name_of(customers, ada.pk) == "unseen"
