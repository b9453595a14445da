"""Old values of real rows: what is served, what is refreshed, and for which keys."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from refcache import ReferenceUnavailable, Staleness
from tests.integration.conftest import NewRegistry
from tests.integration.tolerant import NAME, Timed, unreadable
from tests.integration.watching import statements, update_unseen
from tests.testapp.models import Company, Customer

pytestmark = pytest.mark.django_db(transaction=True)

STALENESS = Staleness(while_revalidate=60, if_error=3600)


@pytest.fixture
def timed(new_registry: NewRegistry) -> Timed:
    assert new_registry.prefix  # it sees to the signals
    timed = Timed()
    register: Any = timed.registry.register
    register("testapp.Customer", ["name"], name="customer", staleness=STALENESS)
    register("testapp.Customer", ["name"], name="by_email", key="email", staleness=STALENESS)
    register(
        "testapp.Customer",
        ["name", "company__name"],
        name="with_company",
        ttl=1000,
        staleness=STALENESS,
    )
    return timed


@pytest.fixture
def pks() -> list[int]:
    acme = Company.objects.create(name="ACME", code="a")
    return [
        Customer.objects.create(name=name, email=f"{name}@example.org", company=acme).pk
        for name in ("ann", "bob", "cem")
    ]


@pytest.fixture
def broken() -> Iterator[None]:
    with unreadable():
        yield


def names(timed: Timed, name: str, keys: list[Any], **overrides: Any) -> list[Any]:
    return [row.name for row in timed.lookup(name, keys, **overrides).values()]


def rename_unseen(pk: int, name: str) -> None:
    update_unseen(Customer.objects.filter(pk=pk), name=name)


def test_old_values_are_served_without_a_query_and_refreshed_in_one_load(
    timed: Timed, pks: list[int]
) -> None:
    timed.lookup("customer", pks)
    rename_unseen(pks[0], "ida")
    timed.pass_time(300)

    with statements("default") as sql:
        assert names(timed, "customer", pks) == ["ann", "bob", "cem"]
    assert sql == []
    (refresh,) = timed.refreshes
    assert dict(refresh.keys) == {"customer": pks}

    with statements("default") as sql:
        timed.refresh()
    assert len(sql) == 1
    assert names(timed, "customer", pks) == ["ida", "bob", "cem"]
    assert timed.refreshes == []


def test_only_what_is_old_is_refreshed(timed: Timed, pks: list[int]) -> None:
    timed.lookup("customer", pks[:1])
    timed.pass_time(200)
    timed.lookup("customer", pks)
    timed.pass_time(100)

    timed.lookup("customer", pks)

    assert dict(timed.refreshes[0].keys) == {"customer": pks[:1]}


def test_a_key_whose_index_or_row_is_old_is_refreshed_by_that_key(
    timed: Timed, pks: list[int]
) -> None:
    del pks
    emails = ["ann@example.org", "bob@example.org", "nobody@example.org"]
    timed.lookup("by_email", emails)
    timed.pass_time(300)
    timed.lookup("by_email", emails)
    assert dict(timed.refreshes[0].keys) == {"by_email": emails[:2]}

    timed.refresh()
    timed.lookup("by_email", emails)

    assert timed.refreshes == []


def test_a_row_whose_spanned_row_is_old_is_refreshed(timed: Timed, pks: list[int]) -> None:
    Customer.objects.filter(pk=pks[2]).update(company=None)
    timed.lookup("with_company", pks)
    timed.pass_time(300)
    Customer.objects.filter(pk__in=pks).update(name="x")
    timed.lookup("with_company", pks)
    timed.pass_time(700)

    found = timed.lookup("with_company", pks)

    assert found[pks[0]].company__name == "ACME"
    assert dict(timed.refreshes[0].keys) == {"with_company": pks[:2]}


def test_max_stale_0_asks_the_database(timed: Timed, pks: list[int]) -> None:
    timed.lookup("customer", pks)
    rename_unseen(pks[0], "ida")
    timed.pass_time(300)

    assert names(timed, "customer", pks, max_stale=0) == ["ida", "bob", "cem"]
    assert timed.refreshes == []


def test_an_old_value_stands_for_a_row_that_cannot_be_read(
    timed: Timed, pks: list[int], broken: None
) -> None:
    assert broken is None
    timed.lookup("customer", pks)
    with_name_unseen(pks[0])
    timed.pass_time(360)

    found = timed.lookup("customer", pks)

    assert found[pks[0]].name == "ann"
    provenance = found.provenance(pks[0])
    assert (provenance.tier, provenance.stale, provenance.age) == ("redis", True, 360.0)
    assert provenance.why == "past its TTL, the load failed"


def test_past_if_error_it_is_unavailable(timed: Timed, pks: list[int], broken: None) -> None:
    assert broken is None
    timed.lookup("customer", pks)
    with_name_unseen(pks[0])
    timed.pass_time(300 + 3600)

    with pytest.raises(ReferenceUnavailable) as caught:
        timed.lookup("customer", pks)

    assert caught.value.keys == pks  # one query for all of them


def with_name_unseen(pk: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE testapp_customer_whole SET name = %s WHERE id = %s", [NAME, pk])


def test_a_write_ends_every_tolerance(timed: Timed, pks: list[int]) -> None:
    timed.lookup("customer", pks)
    timed.pass_time(300)
    Customer.objects.get(pk=pks[0]).delete()

    assert pks[0] not in {row.key for row in timed.lookup("customer", pks).values() if row}


def test_own_writes_are_seen_while_the_store_is_left_alone(timed: Timed, pks: list[int]) -> None:
    timed.lookup("customer", pks)
    timed.lookup("customer", pks)
    timed.store.is_left_alone = True
    ann = Customer.objects.get(pk=pks[0])
    assert timed.lookup("customer", pks).provenance(pks[0]).tier == "local"

    ann.name = "ida"
    ann.save()

    found = timed.lookup("customer", pks)
    assert [row.name for row in found.values()] == ["ida", "bob", "cem"]
    assert [found.provenance(pk).tier for pk in pks] == ["database", "local", "local"]
