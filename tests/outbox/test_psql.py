"""A row that `psql` changes, while a relay runs: when others read it, and what they read then."""

import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event

import pytest
from django.db import connections

from refcache.conf import conf
from refcache.connections import place_of
from refcache.outbox.models import Change
from refcache.reference import Reference
from tests.integration.conftest import NewRegistry
from tests.outbox.conftest import run_sql
from tests.outbox.processes import LIMIT, relaying
from tests.servers.process import START_LIMIT, wait_until
from tools.servers import Program

pytestmark = pytest.mark.django_db(transaction=True)

NAME = "on-default"  # as in the relay's process
READERS = 3
MORE = 100  # reads of each reader, once the change is done with


class Reader:
    """Reads one row again and again, and keeps each value that differs from the one before."""

    def __init__(self, customers: Reference) -> None:
        self.seen: list[str | None] = []
        self._customers = customers
        self._reads = 0

    @property
    def last(self) -> str | None:
        return self.seen[-1] if self.seen else None

    def read_on(self, end: Event) -> None:
        try:
            while not end.is_set():
                found = self._customers.get(1)
                name = found.name if found else None
                if [name] != self.seen[-1:]:
                    self.seen.append(name)
                self._reads += 1
        finally:
            connections.close_all()  # this thread's

    def wait_for_more(self) -> None:
        until = self._reads + MORE
        wait_until(lambda: self._reads >= until, LIMIT)


@pytest.fixture
def customers(new_registry: NewRegistry, watched: Callable[..., None]) -> Reference:
    """The reference that the relay's process has, too, with a row that is warm: 1, "old"."""
    new_registry.prefix = place_of(conf()).prefix  # that process's
    registry = new_registry()
    registry.register("testapp.Customer", ["name"], name=NAME)
    registry[NAME].invalidate_all()
    watched(registry)
    run_sql(
        "default",
        "INSERT INTO testapp_customer (id, name, tier, is_active) VALUES (1, 'old', 'basic', TRUE)",
    )
    Change.objects.all().delete()
    assert registry[NAME].get_many([1])[1].name == "old"
    assert registry[NAME].lookup([1]).provenance(1).tier == "redis"
    return registry[NAME]


@contextmanager
def reading(customers: Reference) -> Iterator[list[Reader]]:
    """Several that read all the time; what one of them raises is raised at the end."""
    readers = [Reader(customers) for _ in range(READERS)]
    end = Event()
    with ThreadPoolExecutor(READERS) as threads:
        runs = [threads.submit(reader.read_on, end) for reader in readers]
        try:
            wait_until(lambda: all(reader.seen for reader in readers), LIMIT)
            yield readers
        finally:
            end.set()
    for run in runs:
        run.result()


def tell(psql: Program, sql: str) -> None:
    """Have psql run it; it is committed when this returns."""
    settings = connections["default"].settings_dict
    url = f"postgresql://{settings['USER']}@127.0.0.1:{settings['PORT']}/{settings['NAME']}"
    subprocess.run(
        [psql.path, "-q", "--no-psqlrc", "-v", "ON_ERROR_STOP=1", url],
        env=psql.environ(),
        input=sql,
        text=True,
        check=True,
        timeout=START_LIMIT,
    )


def test_what_psql_commits_is_read_after_the_lag_and_the_old_value_never_again(
    psql: Program, customers: Reference
) -> None:
    with relaying("default"), reading(customers) as readers:
        for name in ("one", "two", "three"):
            tell(psql, f"UPDATE testapp_customer SET name = '{name}' WHERE id = 1;")  # noqa: S608 - ours
            wait_until(lambda: all(reader.last == name for reader in readers), LIMIT)  # noqa: B023 - called at once
        wait_until(lambda: not Change.objects.exists(), LIMIT)
        for reader in readers:
            reader.wait_for_more()

    assert [reader.seen for reader in readers] == [["old", "one", "two", "three"]] * READERS
    assert customers.lookup([1]).provenance(1).tier == "redis"  # It is stored again.


def test_what_psql_rolls_back_is_never_read(psql: Program, customers: Reference) -> None:
    with relaying("default"), reading(customers) as readers:
        tell(psql, "BEGIN; UPDATE testapp_customer SET name = 'never'; ROLLBACK;")
        tell(psql, "DELETE FROM testapp_customer WHERE id = 1;")
        wait_until(lambda: all(reader.last is None for reader in readers), LIMIT)

    assert [reader.seen for reader in readers] == [["old", None]] * READERS
