"""A process that forks by hand, while its threads are in the middle of everything.

python -m tests.integration.served.forks SCENE KEY,KEY…

SCENE: "busy" forks while one thread loads, two share a load, a refresh is under way and a release
waits for its retry; "locked" while another thread holds every lock. Prints what the child says,
and ends when it has read a line.
"""

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

import django
from django.conf import settings

from tests.integration.served.ending import watch_the_end

LIMIT = 30.0


def read_and_write(keys: list[str]) -> object:
    """In the child: cold and warm pages, a write, a refresh."""
    from django.db import connections  # noqa: PLC0415 - after setup(), here and below

    from refcache import references  # noqa: PLC0415
    from tests.testapp.models import Customer  # noqa: PLC0415

    before = [thread.name for thread in threading.enumerate()], len(references.recovery)
    Customer.objects.filter(pk=keys[0]).update(name="child's")
    found = [references[name].get_many(keys) for name in ("served", "old", "served", "old")]
    assert all(len(each) == len(keys) for each in found)
    connections.close_all()
    return [before, found[0][int(keys[0])].name]


def busy(keys: list[str]) -> object:
    """Its threads go on to their ends when the child has ended."""
    from django.db import connections  # noqa: PLC0415

    from refcache import references  # noqa: PLC0415
    from refcache.core.events import Refreshing  # noqa: PLC0415
    from tests.integration.watching import after_each_statement, on_own_connections  # noqa: PLC0415
    from tests.servers.process import wait_until  # noqa: PLC0415

    may_go_on, stopped = threading.Event(), threading.Semaphore(0)

    def stop(_: str) -> None:
        stopped.release()
        assert may_go_on.wait(LIMIT)

    def read() -> int:
        with after_each_statement(stop):
            return len(references["served"].get_many(keys))

    references["old"].get_many(keys)
    connections.close_all()
    with ThreadPoolExecutor(3) as pool:
        futures = [pool.submit(on_own_connections(read)) for _ in range(3)]
        # The one that has the lease, and the one that leads those who have waited for it.
        assert stopped.acquire(timeout=LIMIT)
        assert stopped.acquire(timeout=LIMIT)
        try:
            references["old"].get_many(keys)
            wait_until(lambda: references.counts.of(Refreshing) > 0, LIMIT)
            jobs = _occupy(may_go_on)
            said = _forked(keys)
        finally:
            may_go_on.set()
        assert [future.result(LIMIT) for future in futures] == [len(keys)] * 3
        assert [job.result(LIMIT) for job in jobs] == [True] * len(jobs)
    wait_until(lambda: not len(references.recovery), LIMIT)
    return said


def _occupy(may_go_on: threading.Event) -> list["Future[bool]"]:
    """One thread is busy, one job waits, and a release waits for its retry."""
    from refcache import references  # noqa: PLC0415
    from refcache.core.writes import Touched  # noqa: PLC0415
    from refcache.reading.workers import Workers  # noqa: PLC0415

    workers = Workers("busy", most=1, longest=1)
    family = references.plan("served").node.rows.family
    references.recovery.add(b"a token.", [Touched(family, (b"0",))])
    return [workers.submit(partial(may_go_on.wait, LIMIT)) for _ in range(2)]


def locked(keys: list[str]) -> object:
    """Per lock, what becomes of a child that is forked while it is held."""
    from django.db import connections  # noqa: PLC0415

    from refcache import references  # noqa: PLC0415

    references["served"].get_many(keys)
    connections.close_all()
    said = {}
    for name, lock in sorted(_locks(references).items()):
        with _held(lock):
            said[name] = _forked(keys)
    return said


def _locks(registry: Any) -> dict[str, Any]:
    runtime = registry.runtime
    breaker = runtime.backend.store
    return {
        "counts": registry.counts._lock,
        "registry": registry._running._lock,
        "declarations": registry._declared._lock,
        "copies": runtime.terms.copies._lock,
        "breaker": breaker._lock,
        "incarnations": breaker.store._incarnations._lock,
        "pool": breaker.store._client.connection_pool._lock,
        "sharing": runtime.backend._sharing._lock,
        "recovery": registry.recovery._lock,
    }


@contextmanager
def _held(lock: Any) -> Iterator[None]:
    """By another thread."""
    held, may_go_on = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            may_go_on.wait(LIMIT)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(LIMIT)
    try:
        yield
    finally:
        may_go_on.set()
        thread.join(LIMIT)


def _forked(keys: list[str]) -> Any:
    """What the child says, which ends as a process does; "hung" where it says nothing."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(reader)
        signal.alarm(int(LIMIT))
        with os.fdopen(writer, "w") as out:
            json.dump(read_and_write(keys), out)
        sys.exit(0)
    os.close(writer)
    with os.fdopen(reader) as said:
        text = said.read()
    _, status = os.waitpid(pid, 0)
    return json.loads(text) if status == 0 else f"status {status}"


SCENES = {"busy": busy, "locked": locked}


def main(scene: str, keys: list[str]) -> None:
    from django.urls import get_resolver  # noqa: PLC0415

    get_resolver().url_patterns  # noqa: B018 - registers
    said = SCENES[scene](keys)
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()
    sys.stdin.readline()


if __name__ == "__main__":
    settings.REFCACHE["LEASE_WAIT"] = 0.1  # seconds; nobody's load ends in this test
    watch_the_end()
    django.setup()
    main(sys.argv[1], sys.argv[2].split(","))
