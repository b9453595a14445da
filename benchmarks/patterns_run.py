"""One size of `benchmarks.patterns`: the example's own pages, asked for in this process.

Prints JSON: a list of `Line`, one per pattern. Started with the example's settings.
"""

import gc
import json
import re
import sys
import tracemalloc
from collections.abc import Callable
from importlib import import_module
from io import StringIO
from statistics import median
from typing import Any, NamedTuple

from benchmarks.timing import Case, Timing, measure

ORDERS = 2_000
NAIVE = "naive"
MEASURED = 3  # requests, of which the median peak is told


class Line(NamedTuple):
    """What one pattern took for a page; costs are queries to A and B, and round trips to Redis."""

    pattern: str
    cold: list[int]
    warm: list[int]
    ms: float
    ratio: float
    peak_bytes: int


def main(customers: int, rounds: int) -> None:
    import_module("django").setup()
    make(customers)
    patterns = list(import_module("patterns.urls").PAGES)
    ask = asking()
    for pattern in patterns:  # Opens connections, loads scripts.
        ask(pattern)
    costs = {pattern: cold_and_warm(ask, pattern) for pattern in patterns}
    timings = measure([Case(each, lambda each=each: ask(each)) for each in patterns], rounds)  # type: ignore[misc]  # mypy cannot infer a lambda's default
    (naive,) = (each for each in timings if each.case.title == NAIVE)
    lines = [line(timing, naive, costs, ask) for timing in timings]
    json.dump(lines, sys.stdout)


def make(customers: int) -> None:
    """The shop's rows, and what the databases know of them."""
    call_command = import_module("django.core.management").call_command
    connections = import_module("django.db").connections
    data = import_module("shop.data")
    for alias in connections:
        call_command("migrate", database=alias, verbosity=0)
    data.make(data.Sizes(customers=customers, events=ORDERS), lambda *_: None)
    call_command("make_patterns", stdout=StringIO())
    for alias in connections:
        with connections[alias].cursor() as cursor:
            cursor.execute("ANALYZE")


def asking() -> Callable[[str], list[int]]:
    """Asks for a pattern's page, and gives what it took."""
    client: Any = import_module("django.test").Client(SERVER_NAME="localhost")

    def get(path: str) -> tuple[Any, list[int]]:
        response = client.get(f"/patterns/{path}", headers={"accept": "application/json"})
        if response.status_code != 200:  # noqa: PLR2004 - as HTTP has it
            raise RuntimeError(f"{path} answered {response.status_code}.")
        return response, [int(count) for count in re.findall(r": (\d+)", response["X-Cost"])]

    def ask(pattern: str) -> list[int]:
        response, cost = get(f"{pattern}/")
        if pattern != "batch-endpoint":
            return cost
        keys = {str(row["customer_id"]) for row in response.json()["results"]}
        _, further = get(f"references/customer/?keys={','.join(sorted(keys))}")
        return [one + two for one, two in zip(cost, further, strict=True)]

    return ask


def cold_and_warm(ask: Callable[[str], list[int]], pattern: str) -> tuple[list[int], list[int]]:
    """What it takes when Redis knows nothing of the shop, and then."""
    references = import_module("refcache").references
    for name in references:
        references[name].invalidate_all()
    import_module("django.core.cache").cache.delete("customer-blob")
    return ask(pattern), ask(pattern)


def line(
    timing: Timing,
    naive: Timing,
    costs: dict[str, tuple[list[int], list[int]]],
    ask: Callable[[str], list[int]],
) -> Line:
    pattern = timing.case.title
    ask(pattern)
    peaks = [peak(lambda: ask(pattern)) for _ in range(MEASURED)]
    cold, warm = costs[pattern]
    ratio = timing.ratio(naive)
    return Line(pattern, cold, warm, timing.median * 1000, ratio, round(median(peaks)))


def peak(act: Callable[[], object]) -> int:
    """The most that *act* holds at a time, in bytes; tracing slows it, so it is not timed."""
    gc.collect()
    tracemalloc.start()
    try:
        act()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
