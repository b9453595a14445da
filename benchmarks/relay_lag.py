"""How long others read the old value after another program's commit: the relay's lag."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from io import StringIO
from multiprocessing import get_context
from typing import Any

from django.core.management import call_command
from django.db import connection, connections

from benchmarks.models import Customer
from benchmarks.timing import Case, Timing
from refcache import references
from refcache.outbox.models import Change

LIMIT = 30.0  # seconds; for a loaded machine


def measure_lag(rounds: int) -> Timing:
    """From each commit to the first read that has the new value; n = *rounds*.

    Raises:
        TimeoutError: A change was not seen at all.
    """
    timing = Timing(Case("commit by another program: seen by a read", lambda: None), [])
    call_command("migrate", "refcache_outbox", verbosity=0)
    call_command("refcache_triggers", "install", stdout=StringIO())
    try:
        with _relay(), closing(_other_program()) as program:
            _wait_for("Customer 1")
            for number in range(rounds):
                name = f"Renamed {number}"
                program.execute("UPDATE benchmarks_customer SET name = %s WHERE id = 1", [name])
                committed = time.perf_counter()
                _wait_for(name)
                timing.seconds.append(time.perf_counter() - committed)
                _wait_for_idle()
    finally:
        call_command("refcache_triggers", "uninstall", stdout=StringIO())
        Customer._default_manager.filter(pk=1).update(name="Customer 1")
    return timing


def p99(timing: Timing) -> float:
    ordered = sorted(timing.seconds)
    return ordered[min(len(ordered) - 1, round(len(ordered) * 0.99))]


def _wait_for(name: str) -> None:
    limit = time.perf_counter() + LIMIT
    while (found := references["customer"].get(1)) is None or found.name != name:
        if time.perf_counter() > limit:
            raise TimeoutError(f"{name!r} was not seen within {LIMIT:g} seconds.")


def _wait_for_idle() -> None:
    """So that each change finds a relay that waits."""
    while Change._default_manager.exists():
        time.sleep(0.001)
    time.sleep(0.005)


def _other_program() -> Any:
    """The driver's own connection, which neither Django nor refcache sees."""
    raw: Any = connection.get_new_connection(connection.get_connection_params())
    raw.autocommit = True
    return raw


@contextmanager
def _relay() -> Iterator[None]:
    """The command in a process of its own, ended as a supervisor does."""
    connections.close_all()  # A child must not share them.
    process = get_context("fork").Process(
        target=call_command, args=("refcache_relay",), kwargs={"stdout": StringIO()}
    )
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join(LIMIT)
