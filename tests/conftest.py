"""Fixtures for all tests: the servers, each started when the first test asks for it."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple, NoReturn

import hypothesis
import pytest
import redis
from django.db import connections

from refcache import references
from tests.servers.addresses import SQLITE_VARIABLE, addresses, free_port
from tests.servers.bed import Bed
from tests.servers.mariadb_server import MariadbServer
from tests.servers.postgres_server import PostgresServer
from tests.servers.redis_server import CLUSTER_BUS, RedisServer
from tests.servers.server import Server
from tools.servers import Program, find_mariadb, find_postgres, find_redis

FULL = os.environ.get("REFCACHE_TEST_FULL") == "1"

# No deadlines: what a loaded machine takes for one example says nothing about the code.
hypothesis.settings.register_profile("quick", max_examples=100, deadline=None)
hypothesis.settings.register_profile("full", max_examples=2_000, deadline=None)
hypothesis.settings.load_profile("full" if FULL else "quick")

# Those that outlive a test.
SHARED_SERVERS = pytest.StashKey[list[Server]]()


class PostgresServers(NamedTuple):
    """The two databases between which the references run."""

    application: PostgresServer
    events: PostgresServer


def pytest_configure(config: pytest.Config) -> None:
    """Begin with no server: each is started when the first test asks for it."""
    config.stash[SHARED_SERVERS] = []


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests that take minutes, unless they are asked for."""
    full = [item for item in items if item.get_closest_marker("full")]
    if FULL or not full:
        return
    config.hook.pytest_deselected(items=full)
    items[:] = [item for item in items if item not in full]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Say that MariaDB is missing before Django says that the alias is."""
    if _wants_mariadb(item):
        _mariadb_program()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Undo what the test did to a server, before fixtures clean up on that server."""
    for server in item.config.stash[SHARED_SERVERS]:
        server.mend()


@pytest.fixture(autouse=True)
def nothing_owed() -> None:
    """What an earlier test's Redis was not told of the project's references, which all share."""
    references.recovery.retry()


@pytest.fixture(scope="session")
def bed() -> Iterator[Bed]:
    """The folder of this run's servers."""
    with Bed() as bed:
        addresses().hand_on()
        yield bed


@pytest.fixture(scope="session")
def redis_server(bed: Bed, pytestconfig: pytest.Config) -> Iterator[RedisServer]:
    """The Redis of the CACHES alias `default`; a test may hurt it, and need not mend it."""
    server = RedisServer(_redis_program(), bed.folder / "redis", addresses().redis)
    with _running(server, pytestconfig):
        yield server


@pytest.fixture
def redis_client(redis_server: RedisServer) -> Iterator[redis.Redis]:
    """A client of `redis_server`, which is emptied first."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
        yield client


@pytest.fixture
def new_redis(bed: Bed) -> Iterator[Callable[..., RedisServer]]:
    """Starts further Redis servers, with options of their own, for one test."""
    servers: list[RedisServer] = []

    def start(*options: str) -> RedisServer:
        port = free_port(CLUSTER_BUS) if "--cluster-enabled" in options else free_port()
        server = RedisServer(_redis_program(), bed.folder / f"redis-{port}", port, *options)
        server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.kill()


@pytest.fixture(scope="session")
def postgres_servers(bed: Bed, pytestconfig: pytest.Config) -> Iterator[PostgresServers]:
    """The databases `default` (application) and `events`; a test may hurt them as well."""
    program = find_postgres() or missing("PostgreSQL 15 or later (initdb and postgres)")
    servers = PostgresServers(
        PostgresServer(program, bed.folder / "application", addresses().application),
        PostgresServer(program, bed.folder / "events", addresses().events),
    )
    with _running(servers.application, pytestconfig), _running(servers.events, pytestconfig):
        yield servers


@pytest.fixture(scope="session")
def mariadb_server(bed: Bed, pytestconfig: pytest.Config) -> Iterator[MariadbServer]:
    """The database `mariadb`; a test may hurt it as well."""
    server = MariadbServer(_mariadb_program(), bed.folder / "mariadb", addresses().mariadb)
    with _running(server, pytestconfig):
        yield server


@pytest.fixture(scope="session")
def wanted_mariadb(request: pytest.FixtureRequest) -> None:
    """`mariadb_server`, if any of this run's tests names the alias."""
    if find_mariadb() and any(map(_wants_mariadb, request.session.items)):
        request.getfixturevalue("mariadb_server")


@pytest.fixture(scope="session")
def psql() -> Program:
    """PostgreSQL's own client, which lies beside its server."""
    server = find_postgres()
    client = server and replace(server, path=server.path.with_name("psql"))
    return client if client and client.path.exists() else missing("psql")


@pytest.fixture(scope="session")
def django_db_setup(
    postgres_servers: PostgresServers,
    redis_server: RedisServer,
    wanted_mariadb: None,
    django_db_setup: None,
) -> None:
    """Start the servers before pytest-django makes the test databases on them.

    Redis as well: what the migrations write would wait to be released.
    """


@pytest.fixture(scope="session")
def django_db_modify_db_settings(bed: Bed) -> None:
    """Tell `sqlite` its file, which processes that tests start find as well.

    The other databases keep their names: each worker of pytest-xdist has servers of its own.
    """
    file = str(bed.folder / "sqlite.db")
    os.environ[SQLITE_VARIABLE] = file
    # Its tests' database would be in memory.
    connections.settings["sqlite"]["TEST"]["NAME"] = file


@contextmanager
def _running(server: Server, config: pytest.Config) -> Iterator[None]:
    server.start()
    config.stash[SHARED_SERVERS].append(server)
    yield
    config.stash[SHARED_SERVERS].remove(server)
    server.stop()


def _redis_program() -> Program:
    return find_redis() or missing("redis-server 6.2 or later")


def _mariadb_program() -> Program:
    return find_mariadb() or missing("MariaDB 10.11 or later (mariadbd and its scripts)")


def _wants_mariadb(item: pytest.Item) -> bool:
    marker = item.get_closest_marker("django_db")
    return marker is not None and "mariadb" in (marker.kwargs.get("databases") or ())


def missing(what: str) -> NoReturn:
    message = f"{what} was not found; `make test` gets it."
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)
