"""Relays as they run in production: woken, stopped, killed, several at once, through outages."""

import signal
import time
from collections.abc import Callable

import pytest
import redis
from django.db import connections

from refcache.conf import conf
from refcache.connections import place_of
from refcache.outbox.models import Change
from refcache.reference import Reference
from tests.conftest import PostgresServers
from tests.integration.conftest import NewRegistry
from tests.outbox.conftest import run_sql
from tests.outbox.processes import LIMIT, RelayProcess, relaying
from tests.servers.process import wait_until
from tests.servers.redis_server import RedisServer

ALIASES = ["default", "sqlite", "mariadb"]
pytestmark = pytest.mark.django_db(transaction=True, databases=ALIASES)

FOREVER = "--interval=3600"


@pytest.fixture(params=["default"])
def alias(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def customers(alias: str, new_registry: NewRegistry, watched: Callable[..., None]) -> Reference:
    """The reference that the relay's process has, too; 2,000 rows, all named "old"."""
    new_registry.prefix = place_of(conf()).prefix  # that process's
    registry = new_registry()
    registry.register("testapp.Customer", ["name"], name=f"on-{alias}", using=alias)
    registry[f"on-{alias}"].invalidate_all()
    watched(registry, alias)
    return registry[f"on-{alias}"]


def make_rows(alias: str, number: int) -> list[int]:
    keys = list(range(1, number + 1))
    values = ", ".join(f"({key}, 'old', 'basic', TRUE)" for key in keys)
    run_sql(
        alias,
        f"INSERT INTO testapp_customer (id, name, tier, is_active) VALUES {values}",  # noqa: S608 - ours
    )
    Change.objects.using(alias).all().delete()
    return keys


def make_warm(customers: Reference, alias: str, number: int = 1) -> list[int]:
    """Rows named "old", which Redis holds."""
    keys = make_rows(alias, number)
    assert names(customers, keys) == {"old"}
    assert customers.lookup(keys).provenance(1).tier == "redis"
    return keys


def names(customers: Reference, keys: list[int]) -> set[str]:
    return {each.name for each in customers.get_many(keys).values()}


def rename(alias: str, name: str = "new") -> None:
    run_sql(alias, f"UPDATE testapp_customer SET name = '{name}'")  # noqa: S608 - ours


def wait_for_name(customers: Reference, keys: list[int], name: str = "new") -> None:
    wait_until(lambda: names(customers, keys) == {name}, LIMIT)


def wait_for_empty(alias: str) -> None:
    wait_until(lambda: not Change.objects.using(alias).exists(), LIMIT)


@pytest.mark.parametrize("alias", ALIASES, indirect=True)
def test_a_running_relay_applies_what_others_write(customers: Reference, alias: str) -> None:
    keys = make_warm(customers, alias)

    with relaying(alias):
        rename(alias)

        wait_for_name(customers, keys)
        wait_for_empty(alias)


def test_a_commit_wakes_the_relay(customers: Reference, alias: str) -> None:
    keys = make_warm(customers, alias)

    with relaying(alias, FOREVER):
        for name in ("a", "b", "c"):
            rename(alias, name)
            wait_for_name(customers, keys, name)


def test_what_was_written_while_no_relay_ran_is_applied(customers: Reference, alias: str) -> None:
    keys = make_warm(customers, alias)
    rename(alias)

    with relaying(alias, FOREVER):
        wait_for_name(customers, keys)


@pytest.mark.parametrize("alias", ALIASES, indirect=True)
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.usefixtures("customers")
def test_a_signal_ends_the_relay_promptly(alias: str, how: int) -> None:
    with relaying(alias, FOREVER) as relay:
        start = time.monotonic()
        assert relay.end(how) == 0

    assert time.monotonic() - start < LIMIT
    assert relay.says("backlog 0")
    assert not relay.says("Traceback")


def test_a_relay_killed_after_it_applied_loses_nothing(customers: Reference, alias: str) -> None:
    keys = make_warm(customers, alias)
    with relaying(alias, "--hang") as relay:
        rename(alias)
        relay.wait_for("applied")
        relay.end(signal.SIGKILL)
    assert Change.objects.using(alias).count() == 1

    with relaying(alias):
        wait_for_empty(alias)

    assert names(customers, keys) == {"new"}


@pytest.mark.parametrize("alias", ALIASES, indirect=True)
def test_two_relays_share_the_work(customers: Reference, alias: str) -> None:
    keys = make_warm(customers, alias, 2000)
    one_by_one(alias, keys)
    assert Change.objects.using(alias).count() == 2000

    with relaying(alias, "--batch=50", "-v2") as one, relaying(alias, "--batch=50", "-v2") as two:
        wait_for_empty(alias)
        assert one.end(signal.SIGTERM) == two.end(signal.SIGTERM) == 0

    assert names(customers, keys) == {"new"}
    assert not one.says("Traceback")
    assert not two.says("Traceback")
    if connections[alias].features.has_select_for_update_skip_locked:
        assert relayed(one) + relayed(two) == 2000


def one_by_one(alias: str, keys: list[int]) -> None:
    """A change per row, on databases whose triggers see statements as well."""
    statements = (f"UPDATE testapp_customer SET name = 'new' WHERE id = {key}" for key in keys)  # noqa: S608 - ours
    run_sql(alias, "BEGIN", *statements, "COMMIT")


def relayed(relay: RelayProcess) -> int:
    """How many changes its lines about batches add up to."""
    batches = [line for line in relay.lines if "changes, lag" in line and "backlog" not in line]
    return sum(int(line.split()[1]) for line in batches)


def test_what_is_written_while_redis_is_down_is_applied_afterwards(
    customers: Reference, alias: str, redis_server: RedisServer, client: redis.Redis
) -> None:
    keys = make_warm(customers, alias)
    client.save()
    with relaying(alias) as relay:
        redis_server.kill()
        rename(alias)
        relay.wait_for("the relay waits")
        assert Change.objects.using(alias).count() == 1

        redis_server.start()  # With the old entry.
        wait_for_empty(alias)

        assert names(customers, keys) == {"new"}
        relay.wait_for("the relay goes on")
        assert sum("the relay waits" in line for line in relay.lines) == 1


def test_a_relay_survives_a_restart_of_the_database(
    customers: Reference, alias: str, postgres_servers: PostgresServers
) -> None:
    keys = make_warm(customers, alias)
    with relaying(alias, FOREVER) as relay:
        postgres_servers.application.stop()
        relay.wait_for("the relay waits")
        postgres_servers.application.start()
        connections[alias].close()
        rename(alias)
        wait_for_name(customers, keys)

        rename(alias, "newer")  # It listens again.
        wait_for_name(customers, keys, "newer")


def test_a_relay_starts_while_the_database_is_down(
    customers: Reference, alias: str, postgres_servers: PostgresServers
) -> None:
    keys = make_warm(customers, alias)
    rename(alias)
    postgres_servers.application.stop()
    with relaying(alias) as relay:
        relay.wait_for("the relay waits")
        postgres_servers.application.start()
        connections[alias].close()

        wait_for_name(customers, keys)


def test_the_lag_is_reported(customers: Reference, alias: str) -> None:
    keys = make_warm(customers, alias)
    with relaying(alias, "--report=0.1") as relay:
        relay.wait_for("default: 0 changes, backlog 0")
        rename(alias)
        wait_for_name(customers, keys)
        relay.wait_for("default: 1 changes, lag ")
