"""Many callers at once: threads, processes, forks and event loops."""

import asyncio
import gc
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from threading import Barrier
from typing import Any

import pytest
import redis
from asgiref.sync import sync_to_async
from django.db import connections

from refcache import ReferenceCache
from tests.integration.conftest import NewRegistry
from tests.integration.watching import LIMIT, in_new_loop, on_own_connections, rows_read
from tests.testapp.models import Customer

pytestmark = pytest.mark.django_db(transaction=True)

ROWS = 100


@pytest.fixture
def registry(new_registry: NewRegistry, settings: Any) -> ReferenceCache:
    # Whoever waits, waits for as long as the machine needs.
    settings.REFCACHE = settings.REFCACHE | {"LEASE_WAIT": LIMIT, "LEASE_TIMEOUT": 2 * LIMIT}
    registry = new_registry()
    registry.register("testapp.Customer", ["name"], name="customer")
    registry.register("testapp.Customer", ["tier"], name="mail", key="email")
    return registry


@pytest.fixture
def pks() -> list[int]:
    made = [Customer(name=f"c{n}", email=f"c{n}@x.org") for n in range(ROWS)]
    return [each.pk for each in Customer.objects.bulk_create(made)]


NAMES = [f"c{n}" for n in range(ROWS)]


@pytest.mark.parametrize("name", ["customer", "mail"])
def test_eight_threads_cause_each_cold_row_to_be_read_once(
    registry: ReferenceCache, pks: list[int], name: str
) -> None:
    keys: list[Any] = list(pks) if name == "customer" else [f"c{n}@x.org" for n in range(ROWS)]
    begin = Barrier(8)

    def read(place: int) -> tuple[int, list[Any]]:
        asked = keys[place:] + keys[:place]
        with rows_read() as rows:
            begin.wait(LIMIT)
            found = registry[name].get_many(asked)
        return sum(rows), list(found)

    with ThreadPoolExecutor(8) as threads:
        answers = [threads.submit(on_own_connections(partial(read, n))) for n in range(8)]
        results = [answer.result(LIMIT) for answer in answers]

    assert sum(rows for rows, _ in results) == ROWS * (1 if name == "customer" else 2)
    assert [found for _, found in results] == [keys[n:] + keys[:n] for n in range(8)]


def test_threads_that_ask_for_overlapping_keys_read_each_row_once(
    registry: ReferenceCache, pks: list[int]
) -> None:
    begin = Barrier(4)

    def read(first: int) -> int:
        with rows_read() as rows:
            begin.wait(LIMIT)
            registry["customer"].get_many(pks[first : first + 40])
        return sum(rows)

    with ThreadPoolExecutor(4) as threads:
        answers = [threads.submit(on_own_connections(partial(read, n))) for n in (0, 20, 40, 60)]

    assert sum(answer.result(LIMIT) for answer in answers) == ROWS


def test_coroutines_that_ask_at_once_read_each_row_once(
    registry: ReferenceCache, pks: list[int]
) -> None:
    async def read() -> tuple[int, list[Any]]:
        rows = await sync_to_async(rows_read)()
        counts = await sync_to_async(rows.__enter__)()
        found = await asyncio.gather(*(registry["customer"].aget_many(pks) for _ in range(8)))
        await sync_to_async(rows.__exit__)(None, None, None)
        return sum(counts), found

    rows, found = in_new_loop(read())

    assert rows == ROWS
    assert [list(each) for each in found] == [pks] * 8


def test_processes_cause_each_cold_row_to_be_read_once(
    registry: ReferenceCache, new_registry: NewRegistry, pks: list[int]
) -> None:
    assert "customer" in registry
    arguments = [new_registry.prefix.decode(), "8", *map(str, pks)]
    with ExitStack() as stack:
        processes = [
            stack.enter_context(python("-m", "tests.integration.reading_process", *arguments))
            for _ in range(2)
        ]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        replies = [json.loads(process.communicate("go\n", LIMIT)[0]) for process in processes]

    assert sum(reply["rows"] for reply in replies) == ROWS
    assert [reply["names"] for reply in replies] == [[NAMES] * 8] * 2


def python(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-X", "dev", "-W", "error", *arguments],
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


FORKING = """
import os, sys
import django
django.setup()
from django.db import connections
from refcache import references

pks = list(map(int, sys.argv[1:]))
customers = references["customer"]
assert len(customers.get_many(pks)) == len(pks)  # the pool and the connection are used
connections.close_all()
children = []
for _ in range(2):
    child = os.fork()
    if not child:
        ok = False
        try:
            ok = all(customers.get(pk).name == f"c{n}" for n, pk in enumerate(pks))
            customers.invalidate(*pks[:5])
            ok = ok and len(customers.get_many(pks)) == len(pks)
        finally:
            os._exit(0 if ok else 1)
    children.append(child)
for _ in range(5):
    assert all(customers.get(pk).name == f"c{n}" for n, pk in enumerate(pks))
assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
connections.close_all()
references.runtime.backend.store.close()
print("done")
"""


def test_a_used_pool_survives_a_fork(pks: list[int]) -> None:
    with python("-c", FORKING, *map(str, pks)) as process:
        output, _ = process.communicate(timeout=LIMIT)

    assert (output, process.returncode) == ("done\n", 0)


ENDING = """
import asyncio, sys
import django
django.setup()
from asgiref.sync import sync_to_async
from django.db import connections
from refcache import references

pks = list(map(int, sys.argv[1:]))

async def read():
    found = await references["customer"].aget_many(pks)
    await references["customer"].ainvalidate(pks[0])
    await sync_to_async(connections.close_all)()
    return len(found)

assert asyncio.run(read()) == asyncio.run(read()) == len(pks)
assert len(references["customer"].get_many(pks)) == len(pks)
connections.close_all()
print("done")
"""


def test_nothing_is_left_open_at_the_end(pks: list[int]) -> None:
    with subprocess.Popen(
        [sys.executable, "-X", "dev", "-W", "error", "-c", ENDING, *map(str, pks)],
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        output, errors = process.communicate(timeout=LIMIT)

    assert (output, errors) == ("done\n", "")


def test_each_event_loop_has_connections_that_end_with_it(
    registry: ReferenceCache, pks: list[int], client: redis.Redis
) -> None:
    customers = registry["customer"]
    customers.get(pks[0])
    gc.collect()  # Pools of earlier tests end now, not in between.
    before = len(client.client_list())
    during = []

    async def read() -> int:
        found = await asyncio.gather(*(customers.aget_many(pks) for _ in range(5)))
        during.append(len(client.client_list()))
        return sum(map(len, found))

    assert [in_new_loop(read()) for _ in range(3)] == [5 * ROWS] * 3

    assert len(client.client_list()) == before
    assert min(during) > before


def test_threads_share_a_registry_that_nobody_has_used_yet(
    registry: ReferenceCache, pks: list[int]
) -> None:
    begin = Barrier(8)

    def read() -> tuple[Any, Any]:
        begin.wait(LIMIT)
        return registry.runtime, len(registry["customer"].get_many(pks))

    with ThreadPoolExecutor(8) as threads:
        answers = [threads.submit(on_own_connections(read)) for _ in range(8)]
        results = [answer.result(LIMIT) for answer in answers]

    assert {id(runtime) for runtime, _ in results} == {id(registry.runtime)}
    assert {count for _, count in results} == {ROWS}
    connections.close_all()
