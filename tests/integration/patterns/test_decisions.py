"""What the patterns differ in beside their cost: freshness, counts, and what is missing."""

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.integration.patterns.shop import Refused, Shop
from tests.integration.watching import LIMIT
from tests.servers.process import wait_until

# Whether the first page after a write shows it.
SHOWS_A_WRITE = {
    "naive": True,
    "whole-table": True,
    "active-only": True,
    "page-keys": True,
    "needed-fields": True,
    "degradation": True,
    "cached-blob": False,
    "denormalised": True,
    "foreign-join": True,
    "materialised-view": False,
    "dataloader": True,
    "batch-endpoint": True,
    "reference-field": True,
    "reference-context": True,
    "reference-descriptor": True,
    "reference-dataloader": True,
}


@pytest.fixture
def customer(shop: Shop) -> Iterator[int]:
    """An active customer of the page, who is afterwards what they were before."""
    found = next(row for row in shop.show("active-only").rows if row["customer_name"])
    yield found["customer_id"]
    shop.change(
        found["customer_id"],
        name=found["customer_name"],
        tier=found["customer_tier"],
        is_active=True,
    )
    shop.sql("REFRESH MATERIALIZED VIEW patterns_viewedcustomer")


@pytest.mark.parametrize("pattern", SHOWS_A_WRITE)
def test_a_write_is_on_the_next_page(shop: Shop, customer: int, pattern: str) -> None:
    assert "Renamed" not in shop.show(pattern).names.values()

    shop.change(customer, name="Renamed")

    assert ("Renamed" in shop.show(pattern).names.values()) is SHOWS_A_WRITE[pattern]


def test_all_show_the_same(shop: Shop) -> None:
    # Without what shows no inactive customers, or names them otherwise.
    expected = {key: name for key, name in shop.show("active-only").names.items() if name}

    assert expected
    for pattern in SHOWS_A_WRITE:
        names = shop.show(pattern).names
        assert {key: names[key] for key in expected} == expected, pattern


def test_a_cached_blob_is_stale_until_its_ttl(shop: Shop, customer: int) -> None:
    before = shop.show("cached-blob").names
    shop.show("reference-field")

    shop.change(customer, name="Renamed")

    (key,) = shop.redis.scan_iter("*customer-blob")
    assert 0 < shop.redis.ttl(key) <= 60
    assert shop.show("cached-blob").names == before
    assert "Renamed" in shop.show("reference-field").names.values()
    shop.redis.pexpire(key, 1)  # As if a minute had gone by.
    wait_until(lambda: not shop.redis.exists(key), LIMIT)
    assert "Renamed" in shop.show("cached-blob").names.values()


def test_a_materialised_view_is_stale_until_it_is_refreshed(shop: Shop, customer: int) -> None:
    shop.change(customer, name="Renamed")
    assert "Renamed" not in shop.show("materialised-view").names.values()

    shop.sql("REFRESH MATERIALIZED VIEW CONCURRENTLY patterns_viewedcustomer")

    assert "Renamed" in shop.show("materialised-view").names.values()


def test_a_foreign_join_asks_the_other_database_in_each_query(shop: Shop) -> None:
    plan = shop.sql(
        "EXPLAIN (VERBOSE) SELECT o.id, c.name FROM orders_orderevent o "
        "LEFT JOIN patterns_foreigncustomer c ON c.id = o.customer_id LIMIT 100"
    )
    remote = [line for (line,) in plan if "Remote SQL" in line]
    assert len(remote) == 1

    # Not the page's customers: as many as the planner likes, which may be all of them.
    assert "WHERE" not in remote[0]


def test_filtering_after_serialising_gives_wrong_counts(shop: Shop) -> None:
    shown = shop.show("filter-after", tier="gold")

    assert shown.body["count"] == 150  # All orders, of whatever tier.
    assert 0 < len(shown.rows) < 100
    assert shown.body["next"]
    assert {row["customer_tier"] for row in shown.rows} == {"gold"}


def test_keys_where_gives_right_counts(shop: Shop) -> None:
    first = shop.show("active-only")
    (cursor,) = parse_qs(urlsplit(first.body["next"]).query)["cursor"]
    rows = first.rows + shop.show("active-only", cursor=cursor).rows
    gold = [row["id"] for row in rows if row["customer_tier"] == "gold"]

    shown = shop.show("keys-where", tier="gold")

    assert len(rows) == 150
    assert 0 < len(gold) < 100
    assert [row["id"] for row in shown.rows] == gold
    assert shown.body["count"] == len(gold)
    assert shown.body["next"] is None


def test_keys_where_is_right_after_a_write(shop: Shop, customer: int) -> None:
    shop.change(customer, tier="silver")
    before = shop.show("keys-where", tier="gold").body["count"]
    orders = shop.sql(f"SELECT id FROM orders_orderevent WHERE customer_id = {customer}")  # noqa: S608 - a number

    shop.change(customer, tier="gold")

    assert shop.show("keys-where", tier="gold").body["count"] == before + len(orders)


def test_a_missing_customer_is_named_by_its_id(shop: Shop, customer: int) -> None:
    shop.change(customer, is_active=False)

    for pattern in ("degradation", "reference-field", "reference-descriptor"):
        assert f"Unknown Customer (ID: {customer})" in shop.show(pattern).names.values(), pattern


def test_the_endpoint_names_absent_keys(shop: Shop, customer: int) -> None:
    shop.change(customer, is_active=False)

    assert str(customer) in shop.show("batch-endpoint").body["absent"]


def test_in_production_a_forgotten_customer_degrades(shop: Shop, customer: int) -> None:
    shop.change(customer, is_active=False)

    assert f"Unknown Customer (ID: {customer})" in shop.show("loud-failure").names.values()


def test_in_debug_a_forgotten_customer_is_an_error(
    shop: Shop, debugging_shop: Shop, customer: int
) -> None:
    shop.change(customer, is_active=False)

    with pytest.raises(Refused, match="is not in customer_context: load it in"):
        debugging_shop.show("loud-failure")
    debugging_shop.show("degradation")


def test_both_composite_keys_find_the_same(shop: Shop) -> None:
    by_hand, by_refcache = shop.show("composite-keys"), shop.show("reference-composite")

    discounts = [row["discount"] for row in by_hand.rows]
    assert None in discounts
    assert any(discounts)
    assert [row["discount"] for row in by_refcache.rows] == discounts
