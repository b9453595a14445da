"""uvicorn and event loops: refreshes are tasks of the loop, and nothing outlives it."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from django.db import connections, transaction

from tests.integration.serving import (
    Served,
    environ_of,
    new_name,
    ports_at_database,
    ports_at_redis,
    serving,
    wait_until_nothing_is_left,
)
from tests.integration.watching import LIMIT, update_unseen
from tests.servers.process import wait_until
from tests.testapp.models import Customer

pytestmark = pytest.mark.django_db(transaction=True)

COMMAND = ["uvicorn", "--host", "127.0.0.1", "--port", "{port}", "--lifespan", "off"]
# uvicorn's log, and what asyncio says in dev mode where the machine is loaded.
OWN_LINE = re.compile(r"INFO: .+|Executing <.+> took [.\d]+ seconds")


@pytest.fixture
def keys() -> str:
    return ",".join(str(Customer.objects.create(name="old").pk) for _ in range(3))


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    command = [
        *COMMAND,
        "--timeout-graceful-shutdown",
        "10",
        "tests.integration.served.asgi:application",
    ]
    with serving(tmp_path / "log", *command) as served:
        yield served


@contextmanager
def locked() -> Iterator[None]:
    """No other transaction reads a customer, however long it waits."""
    with transaction.atomic(), connections["default"].cursor() as cursor:
        cursor.execute("LOCK TABLE testapp_customer IN ACCESS EXCLUSIVE MODE")
        yield


def names(served: Served, path: str) -> list[str]:
    found: list[str] = served.get(path)["names"]
    return found


def odd_lines(said: str) -> list[str]:
    return [line for line in said.splitlines() if not OWN_LINE.fullmatch(line)]


def ends_in_silence(served: Served) -> bool:
    # uvicorn ends in order, and then by the signal that it was told to end by.
    assert served.terminate() == -signal.SIGTERM
    assert odd_lines(served.said) == []
    return True


def waiting_for_a_lock(name: str) -> int:
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")  # Else a transaction sees one state.
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE application_name = %s AND wait_event_type = 'Lock'",
            [name],
        )
        return int(cursor.fetchone()[0])


def test_concurrent_requests_are_answered(served: Served, keys: str, client: redis.Redis) -> None:
    with ThreadPoolExecutor(16) as threads:
        found = list(threads.map(lambda _: names(served, f"async/served/{keys}"), range(64)))

    assert found == [["old"] * 3] * 64
    wait_until(
        lambda: not ports_at_database(served.name), LIMIT
    )  # As after each of Django's requests.
    assert ends_in_silence(served)
    wait_until_nothing_is_left(client, served.name)


def test_an_old_value_is_served_at_once_and_refreshed_afterwards(
    served: Served, keys: str, client: redis.Redis
) -> None:
    path = f"async/old/{keys}"
    names(served, path)
    update_unseen(Customer.objects.all(), name="new")

    with locked():
        assert names(served, path) == ["old"] * 3
        wait_until(lambda: waiting_for_a_lock(served.name) == 1, LIMIT)

    wait_until(lambda: names(served, path) == ["new"] * 3, LIMIT)
    # The refreshes' connections too end with them.
    wait_until(lambda: not ports_at_database(served.name), LIMIT)
    assert ends_in_silence(served)
    wait_until_nothing_is_left(client, served.name)


def test_a_refresh_that_hangs_does_not_keep_the_server(
    served: Served, keys: str, client: redis.Redis
) -> None:
    path = f"async/old/{keys}"
    names(served, path)

    with locked():
        names(served, path)
        wait_until(lambda: waiting_for_a_lock(served.name) == 1, LIMIT)
        assert ports_at_redis(client, served.name)

        assert ends_in_silence(served)

    wait_until_nothing_is_left(client, served.name)


def looping(how: str, keys: str, name: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-X", "dev", "-m", "tests.integration.served.loops", how, keys]
    return subprocess.run(
        command,
        env=environ_of(name),
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )


@pytest.mark.parametrize("how", ["several", "pending"])
def test_a_loop_that_ends_leaves_nothing(how: str, keys: str, client: redis.Redis) -> None:
    name = new_name()

    done = looping(how, keys, name)

    assert (done.returncode, done.stdout, odd_lines(done.stderr)) == (0, "done\n", [])
    wait_until_nothing_is_left(client, name)


def test_a_loop_that_is_closed_with_its_tasks_spoils_no_other(
    keys: str, client: redis.Redis
) -> None:
    """Python complains of what was left open in it; `asyncio.run` leaves nothing."""
    name = new_name()

    done = looping("abandoned", keys, name)

    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
    wait_until_nothing_is_left(client, name)
