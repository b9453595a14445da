"""Measure one page of 100 orders, shown in five ways: `python example/demo.py`.

Makes its data on the first run. Without any environment variable it needs no server; `DATABASE_URL`
(customers), `EVENTS_DATABASE_URL` (orders) and `REDIS_URL` put the same runs on real ones.
"""

import argparse
import os
from dataclasses import dataclass
from http import HTTPStatus
from statistics import median
from time import perf_counter

import django
from django.core.management import call_command
from django.db import connections
from django.test import Client
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

# Before the settings are read. DEBUG keeps every query, which would slow the naive page down.
os.environ["DEBUG"] = "0"
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
django.setup()

from django.conf import settings  # noqa: E402 - Django has to be set up first

from refcache import references  # noqa: E402 - as above
from shop.data import Sizes, make  # noqa: E402 - as above
from shop.metering import Cost, measured  # noqa: E402 - as above

ADDRESS = "http://127.0.0.1:8000/"
PAGE_REFERENCES = ("customer", "device")


@dataclass(frozen=True, slots=True)
class Way:
    """One way to show the page; a cold one finds nothing in Redis."""

    title: str
    path: str
    cold: bool = False


WAYS = (
    Way("naive", "/naive/"),
    Way("whole tables in context", "/whole-table/"),
    Way("page's rows in context", "/page-context/"),
    Way("refcache, cold", "/refcache/", cold=True),
    Way("refcache, warm", "/refcache/"),
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One request: what it asked for, and how long it took."""

    cost: Cost
    seconds: float


def main() -> None:
    """Make the data if there is none, measure, and print the table."""
    options = read_arguments()
    console = Console()
    make_data(console, Sizes(customers=options.customers, events=options.events))
    if not options.data_only:
        console.print(measure_all(options.runs))
        console.print("To look at the pages: [bold]make serve[/bold], then", ADDRESS)


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Measure one page of 100 orders, shown in five ways."
    )
    parser.add_argument("--data-only", action="store_true", help="make the data, measure nothing")
    parser.add_argument(
        "--runs", type=int, default=5, help="measured requests per way (default: %(default)s)"
    )
    rows = parser.add_argument_group("rows to make where there are none yet")
    rows.add_argument(
        "--customers", type=int, default=Sizes().customers, help="default: %(default)s"
    )
    rows.add_argument("--events", type=int, default=Sizes().events, help="default: %(default)s")
    return parser.parse_args()


def make_data(console: Console, sizes: Sizes) -> None:
    """Make the tables and rows that are missing; on a terminal with progress bars."""
    for alias in connections:
        call_command("migrate", database=alias, verbosity=0)
    columns = (TextColumn("Making {task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        tasks = {}

        def advance(table: str, done: int, total: int) -> None:
            if table not in tasks:
                tasks[table] = progress.add_task(table)
            progress.update(tasks[table], completed=done, total=total)

        make(sizes, advance)


def measure_all(runs: int) -> Table:
    """Show every way, measured *runs* times."""
    table = Table(title="One page of 100 orders", caption=describe_servers())
    table.add_column(no_wrap=True)
    for heading in (
        "queries\nto A",
        "queries\nto B",
        "Redis\nround trips",
        f"ms, median\nof {runs}",
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    client = Client(SERVER_NAME="localhost")
    for way in WAYS:
        request(client, way)  # Not measured: opens connections, loads scripts, warms the cache.
        table.add_row(way.title, *summarize([request(client, way) for _ in range(runs)]))
    return table


def request(client: Client, way: Way) -> Sample:
    """Ask for the page once, through the whole of Django.

    Raises:
        RuntimeError: The answer was not a page.
    """
    if way.cold:
        for name in PAGE_REFERENCES:
            references[name].invalidate_all()
    with measured() as cost:
        start = perf_counter()
        response = client.get(way.path, headers={"accept": "application/json"})
        seconds = perf_counter() - start
    if response.status_code != HTTPStatus.OK:
        raise RuntimeError(f"{way.path} answered {response.status_code}, not 200.")
    return Sample(cost, seconds)


def summarize(samples: list[Sample]) -> tuple[str, ...]:
    """Give the cells of one row; a count that differed between requests is shown as a range."""
    return (
        span([sample.cost.queries["events"] for sample in samples]),
        span([sample.cost.queries["default"] for sample in samples]),
        span([sample.cost.round_trips for sample in samples]),
        f"{median(sample.seconds for sample in samples) * 1000:.1f}",
    )


def span(counts: list[int]) -> str:
    """Give the one count, or the least and the greatest."""
    low, high = min(counts), max(counts)
    return str(low) if low == high else f"{low}-{high}"


def describe_servers() -> str:
    """Say what the figures were measured on."""
    events, customers = (connections[alias].vendor for alias in ("events", "default"))
    redis = "embedded (fakeredis)" if settings.REDIS_URL.startswith("embedded:") else "a server"
    return f"A: {events}, B: {customers}, Redis: {redis}"


if __name__ == "__main__":
    main()
