"""The example's shop on the run's servers, in a process of its own, as its visitors see it."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import psycopg
import redis

from tests.integration.serving import serving
from tests.integration.test_example import EXAMPLE, run
from tests.integration.watching import LIMIT
from tests.servers.postgres_server import PostgresServer

ROOT = Path(__file__).parents[3]
DATABASE = "patterns"
PREFIX = "refcache-example"  # of the example's keys
CUSTOMERS, ORDERS = 300, 150


class Cost(NamedTuple):
    """Queries to the orders' database, queries to the customers', round trips to Redis."""

    to_a: int
    to_b: int
    redis: int

    def __add__(self, other: Any) -> "Cost":
        return Cost(*(one + two for one, two in zip(self, other, strict=True)))


class Shown(NamedTuple):
    """What a page gave."""

    rows: list[dict[str, Any]]
    cost: Cost
    body: dict[str, Any]

    @property
    def names(self) -> dict[int, str | None]:
        """The customers' names, by the orders' ids."""
        return {row["id"]: _name(row) for row in self.rows}


class Shop:
    """One that answers."""

    def __init__(self, address: str, environment: dict[str, str], client: redis.Redis) -> None:
        self.address, self.environment, self.redis = address, environment, client

    def show(self, pattern: str, **query: str) -> Shown:
        """The pattern's page of 100 orders; for the batch endpoint what a front end does."""
        body, cost = self._ask(f"{pattern}/?{urlencode(query)}")
        rows = body.get("results") or body.get("orders") or []
        if pattern != "batch-endpoint":
            return Shown(rows, cost, body)
        keys = ",".join(sorted({str(row["customer_id"]) for row in rows}))
        batch, further = self._ask(f"references/customer/?keys={keys}")
        found = batch["found"]
        return Shown(
            [row | {"customer": found.get(str(row["customer_id"]))} for row in rows],
            cost + further,
            body | batch,
        )

    def change(self, customer: int, **values: Any) -> None:
        """Through the shop, as its staff does."""
        self._ask(f"customers/{customer}/", json.dumps(values).encode())

    def forget(self) -> None:
        """Leave nothing of the shop in Redis."""
        if found := list(self.redis.scan_iter(f"*{PREFIX}*", count=1000)):
            self.redis.delete(*found)

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """Say something to the orders' database, unseen by Django."""
        with psycopg.connect(self.environment["EVENTS_DATABASE_URL"]) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def _ask(self, path: str, content: bytes | None = None) -> tuple[dict[str, Any], Cost]:
        request = Request(  # noqa: S310 - it is ours
            f"{self.address}/patterns/{path}",
            content,
            {"Accept": "application/json", "Content-Type": "application/json"},
            method="GET" if content is None else "PATCH",
        )
        try:
            with urlopen(request, timeout=LIMIT) as response:  # noqa: S310 - as above
                cost = Cost(*map(int, re.findall(r": (\d+)", response.headers["X-Cost"])))
                return json.load(response), cost
        except HTTPError as error:
            raise Refused(error.read().decode()) from error


class Refused(Exception):
    """The page that says what went wrong."""


def environment_of(databases: dict[str, PostgresServer], redis_url: str) -> dict[str, str]:
    """Make empty databases; give what leads the shop to them."""
    for server in databases.values():
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)".encode())
            connection.execute(f"CREATE DATABASE {DATABASE}".encode())
    urls = {variable: server.url_of(DATABASE) for variable, server in databases.items()}
    return {
        **urls,
        "REDIS_URL": redis_url,
        "DJANGO_SETTINGS_MODULE": "shop.settings",
        "PYTHONPATH": os.pathsep.join([str(EXAMPLE), str(ROOT)]),
        "DEBUG": "0",
    }


def fill(environment: dict[str, str]) -> None:
    """Make the rows, as the docs say it."""
    rows = (f"--customers={CUSTOMERS}", f"--events={ORDERS}")
    run(EXAMPLE, "demo.py", "--data-only", *rows, **environment)
    run(EXAMPLE, "manage.py", "make_patterns", **environment)


@contextmanager
def opened(
    log: Path, environment: dict[str, str], client: redis.Redis, **further: str
) -> Iterator[Shop]:
    """A shop, from when it answers to the end of the block."""
    command = ("gunicorn", "django.core.wsgi:get_wsgi_application()", "--bind=127.0.0.1:{port}")
    with serving(log, *command, **environment | further) as served:
        yield Shop(f"http://127.0.0.1:{served._port}", environment, client)


def _name(row: dict[str, Any]) -> str | None:
    if "customer_name" in row:
        return str(row["customer_name"]) if row["customer_name"] is not None else None
    customer = row.get("customer") or row.get("loadedCustomer")
    return customer["name"] if customer else None
