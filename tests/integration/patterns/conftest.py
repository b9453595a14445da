"""A shop for each module: its rows are made once, its Redis is empty before each test."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from tests.conftest import PostgresServers, missing
from tests.integration.patterns.shop import Shop, environment_of, fill, opened
from tests.servers.redis_server import RedisServer

FOREIGN = "SELECT 1 FROM pg_available_extensions WHERE name = 'postgres_fdw'"


@pytest.fixture(scope="module")
def open_shop(
    postgres_servers: PostgresServers,
    redis_server: RedisServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Shop]:
    with psycopg.connect(postgres_servers.events.url) as connection:
        if connection.execute(FOREIGN).fetchone() is None:
            missing("postgres_fdw, one of PostgreSQL's contrib modules,")
    environment = environment_of(
        {
            "DATABASE_URL": postgres_servers.application,
            "EVENTS_DATABASE_URL": postgres_servers.events,
        },
        redis_server.url,
    )
    fill(environment)
    log: Path = tmp_path_factory.mktemp("shop") / "log"
    with (
        redis.Redis.from_url(redis_server.url) as client,
        opened(log, environment, client) as shop,
    ):
        for pattern in ("reference-field", "cached-blob"):
            shop.show(pattern)  # Connections are open, and the scripts are at Redis.
        yield shop
        shop.forget()


@pytest.fixture
def shop(open_shop: Shop) -> Shop:
    open_shop.forget()
    return open_shop


@pytest.fixture
def debugging_shop(shop: Shop, tmp_path: Path) -> Iterator[Shop]:
    with opened(tmp_path / "log", shop.environment, shop.redis, DEBUG="1") as debugging:
        yield debugging
