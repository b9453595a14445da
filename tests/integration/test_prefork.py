"""gunicorn: a master that has read before it forks, and workers that read on their own."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from tests.integration.serving import (
    Served,
    holders,
    ports_at_database,
    ports_at_redis,
    serving,
    threads_of,
    wait_until_nothing_is_left,
)
from tests.integration.watching import LIMIT, update_unseen
from tests.servers.process import wait_until
from tests.testapp.models import Customer

pytestmark = pytest.mark.django_db(transaction=True)

WORKERS = 3
KINDS = {
    "sync": ["--worker-class", "sync"],
    "gthread": ["--worker-class", "gthread", "--threads", "4"],
}
# gunicorn's: its log, and the socket that it listens on and does not close.
OWN_LINE = re.compile(
    r"\[[-: +\d]+\] \[\d+\] \[INFO\] .+"
    r"|.*ResourceWarning: unclosed <socket.socket [^>]*laddr=\('127.0.0.1', \d+\)>"
    r"|ResourceWarning: Enable tracemalloc .+"
)
NAMES = ["Ann", "Bea", "Cid"]


@pytest.fixture
def keys() -> str:
    return ",".join(str(Customer.objects.create(name=name).pk) for name in NAMES)


@contextmanager
def forked(log: Path, kind: str, keys: str) -> Iterator[Served]:
    own = ["--preload", "--no-control-socket", "--graceful-timeout", "10"]
    count = ["--workers", str(WORKERS), "--bind", "127.0.0.1:{port}"]
    command = ["gunicorn", *own, *KINDS[kind], *count, "tests.integration.served.wsgi"]
    with serving(log, *command, REFCACHE_TEST_KEYS=keys) as served:
        yield served


def ask_all_workers(served: Served, path: str) -> list[list[str]]:
    """What they answer, asked by several at a time, until each has answered twice."""
    answered: dict[int, int] = {}
    names = []

    def ask(_: int) -> None:
        answer = served.get(path)
        answered[answer["pid"]] = answered.get(answer["pid"], 0) + 1
        names.append(answer["names"])

    def is_done() -> bool:
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(ask, range(16)))
        return len(answered) == WORKERS and min(answered.values()) > 1

    wait_until(is_done, LIMIT, lambda _: f"{answered}: {served.said}")
    return names


def owners_at_redis(client: redis.Redis, served: Served) -> list[list[int]]:
    """Per connection the processes that have it open."""
    pids = served.pids
    return sorted(holders(port, pids) for port in ports_at_redis(client, served.name))


@pytest.mark.parametrize("kind", KINDS)
def test_every_worker_reads_on_connections_of_its_own(
    kind: str, keys: str, client: redis.Redis, tmp_path: Path
) -> None:
    with forked(tmp_path / "log", kind, keys) as served:
        names = ask_all_workers(served, f"sync/served/{keys}")

        assert all(each == NAMES for each in names)
        master, *workers = served.pids
        owners = owners_at_redis(client, served)
        # The master's own one: workers drop what they have inherited of it, unused, with their
        # garbage.
        own = [each for each in owners if master not in each]
        assert len(owners) - len(own) == 1
        assert all(len(each) == 1 for each in own), owners
        assert {pid for each in own for pid in each} == set(workers)


@pytest.mark.parametrize("kind", KINDS)
def test_threads_are_made_after_the_fork(kind: str, keys: str, tmp_path: Path) -> None:
    """The refreshes of what is old are the workers' own; each page is asked for at once."""
    with forked(tmp_path / "log", kind, keys) as served:
        ask_all_workers(served, f"sync/old/{keys}")
        update_unseen(Customer.objects.all(), name="new")

        wait_until(
            lambda: all(
                each == ["new"] * 3 for each in ask_all_workers(served, f"sync/old/{keys}")
            ),
            LIMIT,
        )

        assert threads_of(served.pid) == 1
        pids = served.pids
        for port in ports_at_database(served.name):
            assert len(holders(port, pids)) <= 1  # It may have been closed meanwhile.


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_left_of_workers_that_are_told_to_end(
    kind: str, keys: str, client: redis.Redis, tmp_path: Path
) -> None:
    with forked(tmp_path / "log", kind, keys) as served:
        ask_all_workers(served, f"sync/old/{keys}")
        pids = served.pids
        assert ports_at_redis(client, served.name)

        assert served.terminate() == 0

        assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
        wait_until_nothing_is_left(client, served.name)
        odd = [line for line in served.said.splitlines() if not OWN_LINE.fullmatch(line)]
        assert odd == []
