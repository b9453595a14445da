"""strawberry's DataLoaders: what a query costs, and what each key gives.

A change of a number here is a change of the product.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any, Optional

import pytest
import strawberry
from asgiref.sync import async_to_sync
from django.http import HttpRequest, HttpResponse
from strawberry.django.context import StrawberryDjangoContext

from refcache import (
    InvalidKey,
    InvalidReference,
    MissingRows,
    ReferenceUnavailable,
    Snapshot,
    UnknownReference,
    references,
)
from refcache.contrib.strawberry import ReferenceLoaders, ReferencesExtension
from tests.integration.tolerant import NAME, unreadable
from tests.integration.watching import LIMIT
from tests.relations.conftest import Measure, warm
from tests.relations.models import Client, Machine, Visit

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "events"])

NO_SUCH_ID = 10**9


@strawberry.type(name="Client")
class ClientType:
    name: str


@strawberry.type(name="Machine")
class MachineType:
    serial: str


@strawberry.type(name="Task")
class TaskType:
    machine_id: strawberry.Private[int]

    @strawberry.field
    async def machine(self, info: strawberry.Info) -> Optional[MachineType]:  # noqa: UP045 - as strawberry shows it
        return await info.context["references"]["machine"].load(self.machine_id)  # type: ignore[no-any-return]  # a context is anything

    @strawberry.field
    async def parts(self) -> list["TaskType"]:
        return [self]


@strawberry.type(name="Visit")
class VisitType:
    row: strawberry.Private[Visit]

    @strawberry.field
    async def client(self, info: strawberry.Info) -> Optional[ClientType]:  # noqa: UP045 - as above
        return await info.context["references"]["client"].load(self.row.client_id)  # type: ignore[no-any-return]  # as above

    @strawberry.field
    async def machine(self, info: strawberry.Info) -> Optional[MachineType]:  # noqa: UP045 - as above
        return await info.context["references"]["machine"].load(self.row.machine_id)  # type: ignore[no-any-return]  # as above

    @strawberry.field
    async def tasks(self) -> list[TaskType]:
        assert self.row.machine_id is not None
        return [TaskType(machine_id=self.row.machine_id)]


@strawberry.type
class Query:
    @strawberry.field
    async def visits(self) -> list[VisitType]:
        return [VisitType(row=visit) async for visit in Visit.objects.all()]


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def rename(self, pk: int, name: str, info: strawberry.Info) -> Optional[ClientType]:  # noqa: UP045 - as above
        loader = info.context["references"]["client"]
        await loader.load(pk)
        await Client.objects.filter(pk=pk).aupdate(name=name)
        return await loader.load(pk)  # type: ignore[no-any-return]  # as above


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def names(self, pk: int, info: strawberry.Info) -> AsyncGenerator[str, None]:
        for name in ("Ann", "Anna"):
            await Client.objects.filter(pk=pk).aupdate(name=name)
            yield (await info.context["references"]["client"].load(pk)).name


SCHEMA = strawberry.Schema(Query, Mutation, Subscription, extensions=[ReferencesExtension])


def execute(query: str, context: Any = None) -> Any:
    result = async_to_sync(SCHEMA.execute)(query, context_value=context)
    assert result.errors is None
    return result.data


def in_loop(
    function: Callable[[ReferenceLoaders], Coroutine[Any, Any, Any]], **options: Any
) -> Any:
    """What *function* gives of new loaders."""

    async def main() -> Any:
        return await function(ReferenceLoaders(**options))

    return async_to_sync(main)()


def load(name: str, *keys: Any, **options: Any) -> list[Any]:
    """What each of *keys* gives: a snapshot, None, or an exception."""

    async def main(loaders: ReferenceLoaders) -> list[Any]:
        return await asyncio.gather(
            *(loaders[name].load(key) for key in keys), return_exceptions=True
        )

    found: list[Any] = in_loop(main, **options)
    return found


@pytest.mark.usefixtures("page")
def test_two_references_of_a_hundred_rows_are_one_round_trip(measured: Measure) -> None:
    warm()

    with measured() as cost:
        data = execute("{ visits { client { name } machine { serial } } }")

    assert [(each["client"]["name"], each["machine"]["serial"]) for each in data["visits"]] == [
        (f"c{n}", f"m{n}") for n in range(100)
    ]
    assert cost.counts == (1, 0, 1)


@pytest.mark.usefixtures("page")
def test_two_references_of_a_hundred_rows_are_a_load_each_when_cold(measured: Measure) -> None:
    with measured() as cost:
        execute("{ visits { client { name } machine { serial } } }")

    assert cost.counts == (1, 2, 3)


@pytest.mark.usefixtures("page")
def test_fields_of_several_depths_are_one_round_trip(measured: Measure) -> None:
    warm()

    with measured() as cost:
        data = execute(
            "{ visits { client { name } again: client { name } "
            "tasks { machine { serial } parts { machine { serial } } } } }"
        )

    assert data["visits"][7] == {
        "client": {"name": "c7"},
        "again": {"name": "c7"},
        "tasks": [{"machine": {"serial": "m7"}, "parts": [{"machine": {"serial": "m7"}}]}],
    }
    assert cost.counts == (1, 0, 1)


def test_a_key_is_spelled_as_any_key(page: list[Visit], measured: Measure) -> None:
    pk = page[0].client_id

    assert [each.name for each in load("client", pk, str(pk), pk)] == ["c0", "c0", "c0"]
    assert [each.label for each in load("place", ("x", 0), ["x", 1], ["x", "2"])] == [
        "p0",
        "p1",
        "p2",
    ]
    with measured() as cost:
        assert load("place", None, ("x", None)) == [None, None]
    assert cost.counts == (0, 0, 0)


def test_many_are_loaded_in_order(page: list[Visit]) -> None:
    keys = [page[n].client_id for n in (2, 0, 1)]

    async def many(loaders: ReferenceLoaders) -> list[Snapshot | None]:
        return await loaders["client"].load_many(keys)

    assert [each.name for each in in_loop(many)] == ["c2", "c0", "c1"]


def test_a_missing_row_gives_what_is_asked_for() -> None:
    (placeholder,) = load("client", str(NO_SUCH_ID))
    (nothing,) = load("client", NO_SUCH_ID, on_missing="omit")
    (error,) = load("client", NO_SUCH_ID, on_missing="raise")

    assert placeholder.is_placeholder
    assert (placeholder.key, placeholder.name) == (NO_SUCH_ID, f"Unknown Client (ID: {NO_SUCH_ID})")
    assert nothing is None
    assert isinstance(error, MissingRows)
    assert error.keys == [NO_SUCH_ID]


def test_a_key_that_cannot_be_one_spoils_no_other() -> None:
    ann = Client.objects.create(name="Ann")

    wrong, found, missing, other = load("client", "what?", ann.pk, NO_SUCH_ID, ["no", "key"])

    assert isinstance(wrong, InvalidKey)
    assert isinstance(other, InvalidKey)
    assert found.name == "Ann"
    assert missing.is_placeholder


def test_a_row_that_failed_spoils_no_other() -> None:
    ann, broken = (Client.objects.create(name=name) for name in ("Ann", NAME))

    with unreadable("relations_client"):
        references["client"].get(ann.pk)  # Else both are one load, and fail together.
        error, found = load("client", broken.pk, ann.pk)
        omitted, _ = load("client", broken.pk, ann.pk, on_error="omit")
        placeholder, _ = load("client", broken.pk, ann.pk, on_error="placeholder")
        (declared,) = load("client-or-none", broken.pk)

    assert found.name == "Ann"
    assert isinstance(error, ReferenceUnavailable)
    assert error.keys == [broken.pk]
    assert (omitted, declared) == (None, None)
    assert placeholder.is_placeholder


def test_a_reference_that_cannot_be_read_spoils_no_other(broken: str) -> None:
    ann = Client.objects.create(name="Ann")

    async def both(loaders: ReferenceLoaders) -> Snapshot | None:
        waiting = loaders["client"].load(ann.pk)
        with pytest.raises(UnknownReference):
            loaders["nowhere"].load(1)
        with pytest.raises(InvalidReference):
            loaders[broken].load(1)
        return await waiting

    assert in_loop(both).name == "Ann"


def test_a_reader_that_is_cancelled_leaves_the_read_to_the_others() -> None:
    ann, machine = Client.objects.create(name="Ann"), Machine.objects.create(serial="m")

    async def both(loaders: ReferenceLoaders) -> Snapshot | None:
        first = asyncio.ensure_future(loaders["client"].load(ann.pk))
        second = loaders["machine"].load(machine.pk)
        for _ in range(5):  # until the read is under way
            await asyncio.sleep(0)
        first.cancel()
        return await asyncio.wait_for(second, LIMIT)

    assert in_loop(both).serial == "m"


def test_an_error_of_the_whole_read_reaches_every_key(monkeypatch: pytest.MonkeyPatch) -> None:
    async def later(loaders: ReferenceLoaders) -> list[Any]:
        waiting = [loaders["client"].load(1), loaders["machine"].load(1)]
        monkeypatch.setattr(references._declared, "plan", refuse)
        return await asyncio.gather(*waiting, return_exceptions=True)

    def refuse(name: str) -> Any:
        raise InvalidReference(name)

    assert [type(each) for each in in_loop(later)] == [InvalidReference] * 2


def test_nothing_is_remembered_over_a_mutation() -> None:
    ann = Client.objects.create(name="Ann")

    assert execute(f'mutation {{ rename(pk: {ann.pk}, name: "Anna") {{ name }} }}') == {
        "rename": {"name": "Anna"}
    }


def test_nothing_is_remembered_from_one_event_of_a_subscription_to_the_next() -> None:
    ann = Client.objects.create(name="-")

    async def names() -> list[Any]:
        events: Any = await SCHEMA.subscribe(f"subscription {{ names(pk: {ann.pk}) }}")
        return [event.data["names"] async for event in events]

    assert async_to_sync(names)() == ["Ann", "Anna"]


CONTEXTS = {
    "none": None,
    "dict": {"request": 1},
    "strawberry's for Django": StrawberryDjangoContext(HttpRequest(), HttpResponse()),
}


@pytest.mark.parametrize("context", CONTEXTS.values(), ids=CONTEXTS)
def test_the_extension_fills_any_context(context: Any) -> None:
    client = Client.objects.create(name="Ann")
    Visit.objects.create(client_id=client.pk)

    data = execute("{ visits { client { name } machine { serial } } }", context)

    assert data == {"visits": [{"client": {"name": "Ann"}, "machine": None}]}


def test_without_an_event_loop_the_error_says_what_to_use() -> None:
    Visit.objects.create(client_id=1)

    with pytest.raises(RuntimeError, match="ReferenceTo"):
        ReferenceLoaders()["client"]


def test_options_that_there_are_not_are_refused() -> None:
    with pytest.raises(ValueError, match="on_missing='drop'"):
        ReferenceLoaders(on_missing="drop")  # type: ignore[arg-type]  # which is what is tested
