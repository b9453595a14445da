"""`ReferenceTo` for many rows at once: what Django's prefetching and fetch modes make of it.

A change of a number here is a change of the product.
"""

from typing import Any

import django
import pytest
from asgiref.sync import async_to_sync
from django.core import exceptions
from django.db import models
from django.db.models import Prefetch, aprefetch_related_objects, prefetch_related_objects

from refcache import ReferenceUnavailable
from tests.integration.tolerant import NAME, unreadable
from tests.relations.conftest import Measure, make_visits, warm
from tests.relations.models import Batch, Client, Task, Visit

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "events"])

since_6_1 = pytest.mark.skipif(django.VERSION < (6, 1), reason="fetch modes came with Django 6.1")


def names(visits: Any) -> list[str]:
    return [visit.client.name for visit in visits]


def expected(count: int = 100) -> list[str]:
    return [f"c{n}" for n in range(count)]


@pytest.fixture
def warm_page(page: list[Visit]) -> list[Visit]:
    warm()
    return page


def test_a_page_is_one_query_and_one_round_trip_when_warm(
    warm_page: list[Visit], measured: Measure
) -> None:
    with measured() as cost:
        found = names(Visit.objects.prefetch_related("client"))

    assert found == expected(len(warm_page))
    assert cost.counts == (1, 0, 1)


@pytest.mark.usefixtures("page")
def test_a_page_is_one_load_when_cold(measured: Measure) -> None:
    with measured() as cost:
        found = names(Visit.objects.prefetch_related("client"))

    assert found == expected()
    assert cost.counts == (1, 1, 3)
    assert cost.commands == ["MGET", "claim", "fill"]


@pytest.mark.usefixtures("warm_page")
def test_each_lookup_is_a_round_trip_of_its_own(measured: Measure) -> None:
    with measured() as cost:
        for visit in Visit.objects.prefetch_related("client", "or_none"):
            assert (visit.client, visit.or_none) != (None, None)

    assert cost.counts == (1, 0, 2)


@pytest.mark.usefixtures("warm_page")
def test_what_goes_along_costs_no_round_trip(measured: Measure) -> None:
    with measured() as cost:
        visits = list(Visit.objects.prefetch_related("machine", "client", "place"))
        found = [(v.machine, v.client, v.place) for v in visits]

    assert [(m.serial, c.name, p.label) for m, c, p in found if m and c and p] == [
        (f"m{n}", f"c{n}", f"p{n}") for n in range(100)
    ]
    # The place's composite key is a round trip more: from the key to the row.
    assert cost.counts == (1, 0, 2)


@pytest.mark.usefixtures("warm_page")
def test_no_query_is_made_for_the_key_of_what_goes_along(measured: Measure) -> None:
    with measured() as cost:
        visits = list(Visit.objects.only("machine_id", "client_id").prefetch_related("machine"))

    assert cost.counts == (1, 0, 1)
    assert names(visits) == expected()
    assert visits[7].place
    assert visits[7].place.label == "p7"


def test_what_goes_along_is_left_alone_where_it_is_remembered(warm_page: list[Visit]) -> None:
    prefetch_related_objects(warm_page[1:], "client")
    Client.objects.update(name="new")

    prefetch_related_objects(warm_page, "machine")

    assert names(warm_page) == ["new", *expected()[1:]]


def test_a_page_of_null_keys_asks_nobody(measured: Measure) -> None:
    Visit.objects.bulk_create(Visit() for _ in range(3))

    with measured() as cost:
        assert [each.client for each in Visit.objects.prefetch_related("client")] == [None] * 3

    assert cost.counts == (1, 0, 0)


def test_null_dangling_and_impossible_keys_have_their_values_in_a_page(measured: Measure) -> None:
    (visit,) = make_visits(1)
    Visit.objects.bulk_create([Visit(), Visit(client_id=10**9, note="what?")])

    with measured() as cost:
        visits = Visit.objects.prefetch_related("client", "noted")
        found = [(each.client, each.noted) for each in visits]
        (known, null, dangling) = found

    assert known == (visit.client, None)
    assert null == (None, None)
    assert [each is not None and each.is_placeholder for each in dangling] == [True, True]
    assert cost.counts == (1, 1, 3)


def test_a_page_of_rows_that_failed_and_are_left_out_asks_once(measured: Measure) -> None:
    broken = Client.objects.create(name=NAME)
    Visit.objects.bulk_create(Visit(client_id=broken.pk) for _ in range(3))

    with unreadable("relations_client"):
        visits = list(Visit.objects.prefetch_related("or_none"))
        with measured() as cost:
            assert [each.or_none for each in visits] == [None] * 3
        with pytest.raises(ReferenceUnavailable):
            list(Visit.objects.prefetch_related("client"))

    assert cost.counts == (0, 0, 0)


@pytest.mark.usefixtures("warm_page")
def test_to_attr_puts_it_under_another_name(measured: Measure) -> None:
    with measured() as cost:
        visits = list(Visit.objects.prefetch_related(Prefetch("client", to_attr="buyer")))
        found: list[Any] = [each.buyer for each in visits]

    assert [each.name for each in found] == names(visits) == expected()
    assert cost.counts == (1, 0, 1)


def test_to_attr_takes_what_is_remembered(warm_page: list[Visit], measured: Measure) -> None:
    prefetch_related_objects(warm_page, "client")

    with measured() as cost:
        prefetch_related_objects(warm_page, Prefetch("client", to_attr="buyer"))

    assert all(each.buyer is each.client for each in warm_page)  # type: ignore[attr-defined]  # to_attr
    assert cost.counts == (0, 0, 0)


def test_a_queryset_for_it_is_refused() -> None:
    Visit.objects.create(client_id=1)
    lookup = Prefetch("client", queryset=Client.objects.all())

    with pytest.raises(ValueError, match=r"^Prefetch\('client', queryset=\.\.\.\): client is a"):
        list(Visit.objects.prefetch_related(lookup))


def test_it_is_prefetched_over_relations(measured: Measure) -> None:
    visits = make_visits(10)
    batch = Batch.objects.create(title="b")
    Visit.objects.update(batch=batch)
    Task.objects.bulk_create(Task(visit=each, machine_id=each.machine_id) for each in visits)
    warm()

    with measured() as down:
        (found,) = Batch.objects.prefetch_related("visits__client", "visits__tasks__machine")
        below = found.visits.all()
        assert names(below) == expected(10)
        serials = [task.machine.serial for each in below for task in each.tasks.all()]  # type: ignore[union-attr]  # none is null
    with measured() as up:
        tasks = Task.objects.select_related("visit").prefetch_related("visit__client")
        assert names(each.visit for each in tasks) == expected(10)

    assert serials == [f"m{n}" for n in range(10)]
    assert down.counts == (3, 0, 2)
    assert up.counts == (1, 0, 1)


@pytest.mark.usefixtures("warm_page")
def test_an_iterator_asks_once_per_chunk(measured: Measure) -> None:
    with measured() as cost:
        visits = Visit.objects.prefetch_related("client").iterator(chunk_size=50)
        assert names(visits) == expected()

    assert cost.counts[1:] == (0, 2)


def test_rows_that_are_there_can_be_prefetched(warm_page: list[Visit], measured: Measure) -> None:
    with measured() as cost:
        prefetch_related_objects(warm_page, "client")
        assert names(warm_page) == expected()

    assert cost.counts == (0, 0, 1)


def test_what_is_remembered_is_not_asked_again(warm_page: list[Visit], measured: Measure) -> None:
    prefetch_related_objects(warm_page, "client")
    Client.objects.update(name="new")

    with measured() as nothing:
        prefetch_related_objects(warm_page, "client")
    warm_page[0].client_id = warm_page[1].client_id
    prefetch_related_objects(warm_page, "client")

    assert nothing.counts == (0, 0, 0)
    assert names(warm_page) == ["new", *expected()[1:]]


@pytest.mark.usefixtures("warm_page")
def test_a_deferred_key_is_a_query_per_row_where_the_mode_is_one(measured: Measure) -> None:
    with measured() as cost:
        assert names(Visit.objects.only("note").prefetch_related("client")) == expected()

    assert cost.counts == (101, 0, 1)


@pytest.mark.usefixtures("warm_page")
def test_an_asynchronous_page_is_one_round_trip(measured: Measure) -> None:
    async def show() -> list[str]:
        visits = [each async for each in Visit.objects.prefetch_related("client")]
        return names(visits)

    with measured() as cost:
        assert async_to_sync(show)() == expected()

    assert cost.counts == (1, 0, 1)


def test_rows_that_are_there_can_be_prefetched_asynchronously(
    warm_page: list[Visit], measured: Measure
) -> None:
    async def show() -> list[str]:
        await aprefetch_related_objects(warm_page, "client")
        return names(warm_page)

    with measured() as cost:
        assert async_to_sync(show)() == expected()

    assert cost.counts == (0, 0, 1)


def visits_in(mode: str) -> Any:
    rows: Any = Visit.objects.all()
    return rows.fetch_mode(getattr(models, mode))


@since_6_1
@pytest.mark.usefixtures("warm_page")
def test_fetch_peers_asks_for_all_peers_at_the_first_access(measured: Measure) -> None:
    with measured() as cost:
        assert names(visits_in("FETCH_PEERS")) == expected()

    assert cost.counts == (1, 0, 1)


@since_6_1
@pytest.mark.usefixtures("warm_page")
def test_fetch_peers_takes_along_what_goes_along(measured: Measure) -> None:
    with measured() as cost:
        visits = list(visits_in("FETCH_PEERS").defer("site"))
        serials = [each.machine.serial for each in visits]
        assert names(visits) == expected()

    assert serials == [f"m{n}" for n in range(100)]
    assert cost.counts == (1, 0, 1)


@since_6_1
def test_fetch_peers_loads_deferred_keys_together(measured: Measure) -> None:
    make_visits(10)
    warm()

    with measured() as cost:
        assert names(visits_in("FETCH_PEERS").only("note")) == expected(10)

    assert cost.counts == (2, 0, 1)


@since_6_1
def test_fetch_one_asks_row_by_row(measured: Measure) -> None:
    make_visits(3)
    warm()

    with measured() as cost:
        assert names(visits_in("FETCH_ONE")) == expected(3)

    assert cost.counts == (1, 0, 3)


@since_6_1
def test_fetch_raise_refuses_what_was_not_prefetched() -> None:
    make_visits(1)
    Visit.objects.create()

    visit, null = visits_in("FETCH_RAISE")

    with pytest.raises(exceptions.FieldFetchBlocked, match=r"Visit\.client blocked"):
        _ = visit.client
    assert null.client is None
    assert names(visits_in("FETCH_RAISE").exclude(client_id=None).prefetch_related("client")) == [
        "c0"
    ]
