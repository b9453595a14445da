"""`make bench ARGS=patterns`: a page of 100 orders by each pattern of docs/patterns.md.

All side by side on PostgreSQL and Redis, with few customers and with many. The times are this
machine's; what can be compared with another's are the counts and the ratios of one run.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import psycopg
from rich.console import Console
from rich.table import Table

from benchmarks.patterns_run import Line
from tests.servers.addresses import free_port
from tests.servers.bed import Bed
from tests.servers.postgres_server import PostgresServer
from tests.servers.redis_server import RedisServer
from tools.servers import find_postgres, find_redis

ROOT = Path(__file__).parents[1]
SIZES = (1_000, 100_000)  # customers
HEADINGS = ("benchmark line", "A, B, Redis: cold", "warm")


class Servers(NamedTuple):
    """The two databases, and Redis."""

    customers: PostgresServer
    orders: PostgresServer
    redis: RedisServer


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.patterns", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="default: %(default)s")
    parser.add_argument(
        "--customers", type=int, nargs="+", default=SIZES, help="default: %(default)s"
    )
    parser.add_argument("--markdown", action="store_true", help="the table of docs/patterns.md")
    options = parser.parse_args(arguments)
    with started() as servers:
        measured = {size: lines(servers, size, options.rounds) for size in options.customers}
    if options.markdown:
        print(markdown(measured))  # noqa: T201 - a command line tool prints
        return
    console = Console(width=150)
    console.print(f"Python {platform.python_version()}, medians of {options.rounds} rounds")
    console.print(as_table(measured))


@contextmanager
def started() -> Iterator[Servers]:
    """Servers that end with the block."""
    postgres, redis = find_postgres(), find_redis()
    if postgres is None or redis is None:
        raise SystemExit("PostgreSQL and redis-server are needed: `make bench` gets them.")
    with Bed() as bed, ExitStack() as running:
        servers = Servers(
            PostgresServer(postgres, bed.folder / "customers", free_port()),
            PostgresServer(postgres, bed.folder / "orders", free_port()),
            RedisServer(redis, bed.folder / "redis", free_port()),
        )
        for server in servers:
            server.start()
            running.callback(server.stop)
        yield servers


def lines(servers: Servers, customers: int, rounds: int) -> list[Line]:
    """Measure in a process of its own: its Django is the example's, its memory is new."""
    name = f"shop_{customers}"
    for server in (servers.customers, servers.orders):
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
    done = subprocess.run(  # noqa: S603 - it is ours
        [sys.executable, "-m", "benchmarks.patterns_run", str(customers), str(rounds)],
        cwd=ROOT,
        env=os.environ
        | {
            "DATABASE_URL": servers.customers.url_of(name),
            "EVENTS_DATABASE_URL": servers.orders.url_of(name),
            "REDIS_URL": f"{servers.redis.url}",
            "DJANGO_SETTINGS_MODULE": "shop.settings",
            "PYTHONPATH": os.pathsep.join([str(ROOT / "example"), str(ROOT)]),
            "DEBUG": "0",
        },
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return [Line(*each) for each in json.loads(done.stdout)]


def as_table(measured: dict[int, list[Line]]) -> Table:
    made = Table(title="One page of 100 orders", title_justify="left")
    made.add_column(HEADINGS[0], no_wrap=True)
    for heading in headings(measured)[1:]:
        made.add_column(heading, justify="right")
    for row in rows(measured):
        made.add_row(*row)
    return made


def markdown(measured: dict[int, list[Line]]) -> str:
    table = [headings(measured), ["---", *["--:"] * (len(headings(measured)) - 1)]]
    table += [[f"`{name}`", *cells] for name, *cells in rows(measured)]
    return "\n".join(f"| {' | '.join(row)} |" for row in table)


def headings(measured: dict[int, list[Line]]) -> list[str]:
    return [
        *HEADINGS,
        *(
            f"{customers:,}: {what}"
            for customers in measured
            for what in ("ms", "naive = 1", "memory")
        ),
    ]


def rows(measured: dict[int, list[Line]]) -> Iterator[list[str]]:
    """A row per pattern; what it counts is the same for all sizes."""
    for same in zip(*measured.values(), strict=True):
        first = same[0]
        cells = [first.pattern, counts(first.cold), counts(first.warm)]
        for line in same:
            cells += [f"{line.ms:.1f}", f"{line.ratio:.2f}", memory(line.peak_bytes)]
        yield cells


def counts(cost: Sequence[int]) -> str:
    return ", ".join(map(str, cost))


def memory(number: int) -> str:
    return f"{number / 1e6:.1f} MB"


if __name__ == "__main__":
    main()
