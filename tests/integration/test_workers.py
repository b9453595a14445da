"""The database connections of jobs in threads: kept as Django keeps them, and never left open."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from django.db import OperationalError, connections

from refcache.reading import workers as module
from refcache.reading.workers import Workers
from tests.conftest import PostgresServers
from tests.integration.watching import LIMIT
from tests.servers.process import wait_until

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "events"])

OPEN = "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY(%s)"


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Workers]:
    """One thread, whose connections outlast a job, and which outlasts the test."""
    monkeypatch.setattr(module, "IDLE", 10 * LIMIT)
    for alias in ("default", "events"):
        monkeypatch.setitem(connections.settings[alias], "CONN_MAX_AGE", None)
    workers = Workers("test", most=1, longest=1)
    yield workers
    assert workers.close(LIMIT)


def backend(alias: str = "default") -> int:
    """The server's process behind this thread's connection."""
    return ask(alias, "SELECT pg_backend_pid()")


def ask(alias: str, sql: str, *params: Any) -> int:
    with connections[alias].cursor() as cursor:
        cursor.execute(sql, params)
        return int(cursor.fetchone()[0])


def is_open(*backends: int, alias: str = "default") -> bool:
    return ask(alias, OPEN, list(backends)) > 0


def wait_until_closed(pid: int, alias: str = "default") -> None:
    wait_until(lambda: not is_open(pid, alias=alias), LIMIT)


def test_the_next_job_finds_the_connection(workers: Workers) -> None:
    pids = {workers.submit(backend).result(LIMIT) for _ in range(3)}

    assert len(pids) == 1
    assert is_open(*pids)
    assert pids != {backend()}


def test_no_connection_is_left_when_the_workers_are_closed(workers: Workers) -> None:
    aliases = ("default", "events")
    pids = [workers.submit(partial(backend, alias)).result(LIMIT) for alias in aliases]

    assert workers.close(LIMIT)

    for alias, pid in zip(aliases, pids, strict=True):
        wait_until_closed(pid, alias)


def test_no_connection_is_left_when_a_thread_has_been_idle(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "IDLE", 0.001)

    pid = workers.submit(backend).result(LIMIT)

    wait_until_closed(pid)


def test_a_connection_lives_no_longer_than_django_lets_it(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 0)

    pid = workers.submit(backend).result(LIMIT)

    wait_until_closed(pid)


def test_a_connection_that_has_grown_old_meanwhile_is_not_used_again(workers: Workers) -> None:
    connection = workers.submit(lambda: connections["default"]).result(LIMIT)
    pid = workers.submit(backend).result(LIMIT)

    wait_until(lambda: not workers._crew._busy, LIMIT)  # The job before is looked after.
    connection.close_at = time.monotonic()

    assert workers.submit(backend).result(LIMIT) != pid


def test_a_broken_connection_is_not_used_again(workers: Workers) -> None:
    pid = workers.submit(backend).result(LIMIT)
    ask("default", "SELECT pg_terminate_backend(%s)::int", pid)
    wait_until_closed(pid)

    with pytest.raises(OperationalError):
        workers.submit(backend).result(LIMIT)

    assert is_open(workers.submit(backend).result(LIMIT))


def test_threads_that_end_together_close_their_connections() -> None:
    workers = Workers("test", most=8, longest=0)
    together = threading.Barrier(8)

    def job() -> int:
        together.wait(LIMIT)
        return backend()

    pids = [job.result(LIMIT) for job in [workers.submit(job) for _ in range(8)]]
    assert len(set(pids)) == 8

    assert workers.close(LIMIT)

    wait_until(lambda: not is_open(*pids), LIMIT)


@contextmanager
def ending(how: str) -> "Iterator[subprocess.Popen[str]]":
    """A process whose job is under way."""
    with subprocess.Popen(
        [sys.executable, "-X", "dev", "-W", "error", "-m", "tests.integration.ending_workers", how],
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "begun\n"
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("how", "said"),
    [("idle", "done:1\nclosed\n"), ("busy", "done:1 cancelled\nclosed\n")],
    ids=["idle", "busy"],
)
def test_no_connection_is_left_when_the_interpreter_ends(how: str, said: str) -> None:
    with ending(how) as process:
        assert process.communicate("\n", timeout=LIMIT) == (said, "")
        assert process.returncode == 0


def test_a_database_that_never_answers_does_not_keep_the_process(
    postgres_servers: PostgresServers,
) -> None:
    with ending("hung") as process:
        postgres_servers.application.pause()

        assert process.communicate("\n", timeout=LIMIT) == ("running cancelled\n", "")

        assert process.returncode == 0
    postgres_servers.application.resume()
