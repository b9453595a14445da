"""What a page of 100 orders costs by each pattern, on PostgreSQL and Redis."""

import json
import urllib.request
from typing import NamedTuple

import pytest

from tests.integration.patterns.shop import Cost, Shop


class Costs(NamedTuple):
    """Of a page that finds nothing in Redis, and of the one after it."""

    cold: Cost
    warm: Cost


def always(*cost: int) -> Costs:
    return Costs(Cost(*cost), Cost(*cost))


# Queries to the orders' database, queries to the customers' database, round trips to Redis.
COSTS = {
    "naive": always(1, 200, 0),
    "whole-table": always(1, 1, 0),
    "active-only": always(1, 1, 0),
    "page-keys": always(1, 1, 0),
    "needed-fields": always(1, 1, 0),
    "composite-keys": always(1, 1, 0),
    "degradation": always(1, 1, 0),
    "loud-failure": always(1, 1, 0),
    "cached-blob": Costs(Cost(1, 1, 3), Cost(1, 0, 1)),
    # The further query to the orders' database is the COUNT of pages with numbers.
    "filter-after": always(2, 1, 0),
    "denormalised": always(1, 0, 0),
    # What PostgreSQL asks PostgreSQL is not Django's query.
    "foreign-join": always(1, 0, 0),
    "materialised-view": always(1, 0, 0),
    "dataloader": always(1, 1, 0),
    "batch-endpoint": Costs(Cost(1, 1, 3), Cost(1, 0, 1)),
    "reference-field": Costs(Cost(1, 1, 3), Cost(1, 0, 1)),
    "reference-context": Costs(Cost(1, 1, 3), Cost(1, 0, 1)),
    "reference-descriptor": Costs(Cost(1, 1, 3), Cost(1, 0, 1)),
    "reference-dataloader": Costs(Cost(1, 1, 3), Cost(1, 0, 1)),
    # A key that is not the primary one is looked up first: one more of each.
    "reference-composite": Costs(Cost(1, 2, 6), Cost(1, 0, 2)),
    # The keys of a tier, then the page's customers.
    "keys-where": Costs(Cost(2, 2, 6), Cost(2, 0, 2)),
}


@pytest.mark.parametrize("pattern", COSTS)
def test_a_page_costs(shop: Shop, pattern: str) -> None:
    cold, warm = shop.show(pattern), shop.show(pattern)

    assert len(cold.rows) == 100 or pattern in ("filter-after", "keys-where")
    assert Costs(cold.cost, warm.cost) == COSTS[pattern]
    assert cold.rows == warm.rows


def test_every_page_of_the_example_is_among_them(shop: Shop) -> None:
    with urllib.request.urlopen(f"{shop.address}/patterns/") as response:  # noqa: S310 - it is ours
        assert set(json.load(response)) == set(COSTS)
