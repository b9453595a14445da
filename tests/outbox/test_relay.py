"""The relay within one process: what it applies, deletes, keeps and reports."""

import logging
import select
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
from django.db import connection

from refcache import ReferenceCache
from refcache.core.events import Relayed
from refcache.core.exceptions import StoreUnavailable
from refcache.core.operations import Release
from refcache.outbox.models import Change
from refcache.outbox.relay import KEPT_UNKNOWN, Relay
from refcache.outbox.tally import Tally
from refcache.outbox.waking import Ear, Stop
from tests.integration.interposing import fail
from tests.integration.watching import in_thread
from tests.outbox.conftest import ignore, run_sql
from tests.outbox.processes import LIMIT
from tests.servers.process import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

Watched = Callable[..., None]
Drain = Callable[..., int]


@pytest.fixture
def customers(registry: ReferenceCache, watched: Watched) -> ReferenceCache:
    registry.register("testapp.Customer", ["name"], name="customer")
    watched(registry)
    return registry


def insert(first: int, last: int) -> None:
    run_sql(
        "default",
        *(
            "INSERT INTO testapp_customer (id, name, tier, is_active) "  # noqa: S608 - ours
            f"VALUES ({pk}, 'old', 'basic', true)"
            for pk in range(first, last + 1)
        ),
    )


def note(table: str, seconds_ago: float = 0.0) -> None:
    run_sql(
        "default",
        """INSERT INTO refcache_outbox ("table", rows, at) """  # noqa: S608 - ours
        f"VALUES ('{table}', '[]', extract(epoch FROM clock_timestamp()) - {seconds_ago})",
    )


def test_a_batch_is_no_larger_than_it_may_be(customers: ReferenceCache, stop: Stop) -> None:
    batches: list[Relayed] = []
    insert(1, 5)

    assert Relay("default", customers, stop, batches.append, batch=2).drain() == 5

    assert [len(each.lags) for each in batches] == [2, 2, 1]
    assert not Change.objects.exists()


def test_the_lag_is_the_time_since_the_trigger(customers: ReferenceCache, stop: Stop) -> None:
    batches: list[Relayed] = []
    note("testapp_customer", seconds_ago=100)

    Relay("default", customers, stop, batches.append).drain()

    ((lag,),) = [each.lags for each in batches]
    assert 100 <= lag < 100 + LIMIT
    assert customers.counts.of(Relayed) == 1


def test_what_redis_was_not_told_stays_in_the_outbox(
    customers: ReferenceCache, relay: Drain
) -> None:
    insert(1, 3)
    fail(customers, Release, failures=1)

    with pytest.raises(StoreUnavailable):
        relay(customers)
    assert Change.objects.count() == 3

    assert relay(customers) == 3


def test_any_row_drops_all_entries_of_a_table(customers: ReferenceCache, relay: Drain) -> None:
    insert(1, 2)
    relay(customers)
    customers["customer"].get_many([1, 2])
    run_sql(
        "default",
        "ALTER TABLE testapp_customer DISABLE TRIGGER USER",
        "UPDATE testapp_customer SET name = 'new'",
        "ALTER TABLE testapp_customer ENABLE TRIGGER USER",
        """INSERT INTO refcache_outbox ("table", rows, at) VALUES ('testapp_customer', NULL, 0)""",
    )
    insert(3, 3)

    relay(customers)

    assert {each.name for each in customers["customer"].get_many([1, 2]).values()} == {"new"}


def test_triggers_older_than_a_key_are_believed_no_more_than_they_know(
    customers: ReferenceCache, relay: Drain
) -> None:
    insert(1, 1)
    relay(customers)
    customers.register("testapp.Customer", ["tier"], name="mail", key="email")
    assert customers["mail"].get("ann@x.org") is None

    run_sql("default", "UPDATE testapp_customer SET email = 'ann@x.org'")
    relay(customers)

    assert customers["mail"].get("ann@x.org") is not None


def test_changes_that_another_relay_works_on_are_left_to_it(
    customers: ReferenceCache, relay: Drain
) -> None:
    insert(1, 1)
    with connection.cursor() as cursor:
        cursor.execute("BEGIN; SELECT 1 FROM refcache_outbox FOR UPDATE")
        try:
            assert in_thread(lambda: relay(customers)) == 0
        finally:
            cursor.execute("ROLLBACK")

    assert relay(customers) == 1


def test_changes_of_unknown_tables_are_left_to_newer_code(
    customers: ReferenceCache, stop: Stop, caplog: pytest.LogCaptureFixture
) -> None:
    note("newer_table")
    note("older_table", seconds_ago=KEPT_UNKNOWN + LIMIT)
    relay = Relay("default", customers, stop, ignore, interval=0.01)

    def gone() -> bool:
        return not Change.objects.filter(table="older_table").exists()

    run_until(relay, stop, gone)

    assert [each.table for each in Change.objects.all()] == ["newer_table"]
    assert "no reference reads 'newer_table'" in caplog.text


def test_an_outage_is_logged_once_and_sat_out(
    customers: ReferenceCache, stop: Stop, caplog: pytest.LogCaptureFixture
) -> None:
    insert(1, 1)
    fail(customers, Release, failures=3)
    caplog.set_level(logging.WARNING, "refcache")

    run_until(Relay("default", customers, stop, ignore), stop, lambda: not Change.objects.exists())

    assert caplog.text.count("the relay waits") == 1
    assert caplog.text.count("the relay goes on") == 1


def run_until(relay: Relay, stop: Stop, holds: Callable[[], bool]) -> None:
    """Let the relay run in a thread of its own until it holds."""
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(relay.run)
        try:
            wait_until(holds, LIMIT)
        finally:
            stop.set()
        running.result(LIMIT)


def test_a_stop_ends_all_waits() -> None:
    with closing(Stop()) as stop:
        stop.set()
        stop.set()
        start = time.monotonic()
        stop.wait(LIMIT)
        stop.wait(LIMIT)

    assert time.monotonic() - start < LIMIT


def leave_it() -> None:
    """Nobody has read it yet."""


def read_it_with_an_answer() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def read_it_alone() -> None:
    raw: Any = connection.connection
    raw.pgconn.consume_input()


@pytest.mark.parametrize("read", [leave_it, read_it_with_an_answer, read_it_alone])
def test_a_notification_that_came_before_the_wait_ends_it(
    stop: Stop, read: Callable[[], None]
) -> None:
    """Also where the driver has read it, and the socket has nothing more to read."""
    ear = Ear(connection)
    ear.listen()
    raw: Any = connection.connection
    run_sql("default", "NOTIFY refcache_outbox")
    assert select.select([raw.fileno()], [], [], LIMIT)[0]
    read()

    start = time.monotonic()
    ear.wait(LIMIT, stop)

    assert time.monotonic() - start < LIMIT
    connection.close()


def test_a_wait_without_a_notification_lasts_as_long_as_it_may(stop: Stop) -> None:
    ear = Ear(connection)
    ear.listen()
    start = time.monotonic()

    ear.wait(0.05, stop)

    assert time.monotonic() - start >= 0.04
    connection.close()


def test_a_tally_begins_anew_when_it_was_told() -> None:
    tally = Tally()
    tally.add(Relayed("", "default", (0.001, 0.002)))
    tally.add(Relayed("", "default", (0.009,)))

    assert tally.told("default") == "3 changes, lag 2.0 ms median, 9.0 ms worst"
    assert tally.told("default") == "0 changes"
