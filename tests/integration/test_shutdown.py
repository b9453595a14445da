"""Threads and forks: none before it is needed, and nothing of them is left."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis

from tests.integration.serving import (
    environ_of,
    new_name,
    ports_at_database,
    ports_at_redis,
    wait_until_nothing_is_left,
)
from tests.integration.watching import LIMIT
from tests.servers.process import wait_until
from tests.testapp.models import Customer

pytestmark = pytest.mark.django_db(transaction=True)

MAIN = "MainThread"
# What a child says: its threads, the releases that wait in it, and the name that it wrote.
ANEW = [[[MAIN], 0], "child's"]


@pytest.fixture
def keys() -> str:
    return ",".join(str(Customer.objects.create(name="old").pk) for _ in range(4))


@pytest.fixture
def name(client: redis.Redis) -> Iterator[str]:
    """Of a process's connections; none is left at the end."""
    name = new_name()
    yield name
    wait_until_nothing_is_left(client, name)


@contextmanager
def playing(module: str, scene: str, keys: str, name: str) -> Iterator[Any]:
    """What a process says, which lives until the block ends, and then ends in silence."""
    command = [sys.executable, "-X", "dev", "-m", f"tests.integration.served.{module}", scene, keys]
    with subprocess.Popen(
        command,
        env=environ_of(name) | {"PYTHONWARNINGS": "ignore:This process:DeprecationWarning"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout
            line = process.stdout.readline()
            assert line, process.communicate(timeout=LIMIT)[1]
            yield json.loads(line)
            assert process.communicate("\n", timeout=LIMIT) == ("", "")
            assert process.returncode == 0
        finally:
            process.kill()


def test_reads_and_writes_start_no_thread(keys: str, name: str) -> None:
    with playing("scenes", "nothing", keys, name) as threads:
        assert threads == [MAIN]


@pytest.mark.parametrize(
    ("scene", "thread"),
    [("refresh", "refresh"), ("limit", "load-default"), ("release", "recovery")],
)
def test_a_thread_is_started_when_it_is_needed(
    scene: str, thread: str, keys: str, name: str
) -> None:
    with playing("scenes", scene, keys, name) as (before, after):
        assert before == [MAIN]
        assert after == [MAIN, f"refcache-{thread}"]


def test_connections_of_threads_end_with_them(keys: str, name: str, client: redis.Redis) -> None:
    with playing("scenes", "busy", keys, name) as odd:
        assert odd == []
        wait_until(lambda: ports_at_database(name) == [], LIMIT)
        assert ports_at_redis(client, name)  # They are the pool's.


def test_a_release_that_waits_is_told_at_the_end(keys: str, name: str, client: redis.Redis) -> None:
    row = f"{name}:*:served:*:{keys.split(',', maxsplit=1)[0]}"

    with playing("scenes", "owing", keys, name) as owed:
        assert owed > 0
        assert list(client.scan_iter(row))

    assert not list(client.scan_iter(row))


def test_a_child_of_a_busy_process_begins_anew(keys: str, name: str) -> None:
    with playing("forks", "busy", keys, name) as said:
        assert said == ANEW


def test_no_lock_of_the_parent_stops_a_child(keys: str, name: str) -> None:
    with playing("forks", "locked", keys, name) as said:
        assert {lock: answer for lock, answer in said.items() if answer != ANEW} == {}
