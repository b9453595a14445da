"""A process that ends while a thread of its workers is idle, busy or hung.

python -m tests.integration.ending_workers HOW

Prints "begun" when the job is under way, reads a line, and ends. At its very end it prints what
became of its jobs and, unless that hangs, that the database has no connection of theirs.
"""

import atexit
import sys
import threading
from concurrent.futures import Future
from typing import Any

import django
from django.conf import settings
from django.db import connections

from tests.servers.process import wait_until

LIMIT = 30.0
NAME = "ending_workers"


def main(how: str) -> None:
    settings.DATABASES["default"] |= {
        "CONN_MAX_AGE": None,  # Else an idle thread would have no connection.
        "OPTIONS": {"application_name": NAME},
    }
    django.setup()
    from refcache.reading import workers as module  # noqa: PLC0415 - after setup()

    jobs: list[Future[int]] = []
    atexit.register(_report, how, jobs)  # Called last, as it comes first.
    workers = module.Workers("ending", most=1, longest=1)
    begun, may_go_on = threading.Event(), threading.Event()

    def job() -> int:
        backend = _ask("SELECT pg_backend_pid()")
        begun.set()
        assert may_go_on.wait(LIMIT)
        return _ask("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", backend)

    jobs.append(workers.submit(job))
    assert begun.wait(LIMIT)
    if how != "idle":
        jobs.append(workers.submit(int))
    _say("begun")
    sys.stdin.readline()
    if how == "busy":
        module.AT_EXIT = LIMIT  # on a loaded machine
        atexit.register(may_go_on.set)
        return
    may_go_on.set()
    if how == "idle":
        jobs[0].result(LIMIT)


def _ask(sql: str, *params: Any) -> int:
    with connections["default"].cursor() as cursor:
        cursor.execute(sql, params)
        return int(cursor.fetchone()[0])


def _report(how: str, jobs: list[Future[int]]) -> None:
    _say(" ".join(map(_become, jobs)))
    if how == "hung":
        return
    own = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
    wait_until(lambda: _ask(own, NAME) == 1, LIMIT)  # the one that asks
    connections.close_all()
    _say("closed")


def _become(job: Future[int]) -> str:
    if job.running():
        return "running"
    return "cancelled" if job.cancelled() else f"done:{job.result()}"


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
