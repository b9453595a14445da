"""What a `ReferenceTo` gives, and for how long an instance remembers it."""

import copy
import pickle
from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.exceptions import FieldError, SynchronousOnlyOperation

from refcache import ReferenceTo, ReferenceUnavailable, Snapshot, UnknownReference
from tests.integration.tolerant import NAME, unreadable
from tests.relations.conftest import Measure, make_visits
from tests.relations.models import Client, ProxiedVisit, UrgentVisit, Visit

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "events"])

NO_SUCH_ID = 10**9


@pytest.fixture
def ann() -> Client:
    return Client.objects.create(name="Ann")


@pytest.fixture
def bob() -> Client:
    return Client.objects.create(name="Bob")


@pytest.fixture
def visit(ann: Client) -> Visit:
    return Visit.objects.create(client_id=ann.pk)


def name_of(visit: Visit) -> Any:
    return visit.client and visit.client.name


def test_it_gives_the_row_that_the_key_refers_to(visit: Visit) -> None:
    assert isinstance(visit.client, Snapshot)
    assert visit.client.name == "Ann"


def test_a_row_is_asked_for_once(visit: Visit, measured: Measure) -> None:
    with measured() as cost:
        assert visit.client is visit.client

    assert cost.counts == (0, 1, 3)


def test_a_null_key_gives_none_and_asks_nobody(measured: Measure) -> None:
    with measured() as cost:
        assert Visit().client is None
        assert Visit(site="x").place is None

    assert cost.counts == (0, 0, 0)


def test_a_dangling_key_gives_the_placeholder_once(measured: Measure) -> None:
    visit = Visit(client_id=NO_SUCH_ID)

    with measured() as cost:
        found = visit.client
        assert visit.client is found

    assert found is not None
    assert found.is_placeholder
    assert found.name == f"Unknown Client (ID: {NO_SUCH_ID})"
    assert cost.counts == (0, 1, 3)


def test_a_key_that_cannot_be_one_gives_the_placeholder() -> None:
    found = Visit(note="what?").noted

    assert found is not None
    assert found.name == "Unknown Client (ID: what?)"


def test_a_composite_key_is_a_tuple_of_attributes() -> None:
    (visit,) = make_visits(1)

    assert visit.place is not None
    assert visit.place.label == "p0"


def test_what_is_remembered_does_not_survive_a_change_of_the_key(
    visit: Visit, ann: Client, bob: Client
) -> None:
    names = [name_of(visit)]
    for key in (bob.pk, None, ann.pk, str(bob.pk)):
        visit.client_id = key
        names.append(name_of(visit))

    assert names == ["Ann", "Bob", None, "Ann", "Bob"]


def test_a_part_of_a_composite_key_may_change() -> None:
    first, second = make_visits(2)
    assert first.place != second.place

    first.number = second.number

    assert first.place == second.place


def test_it_cannot_be_set(visit: Visit, bob: Client) -> None:
    with pytest.raises(AttributeError, match=r"^Visit\.client cannot be set: .* Set client_id\.$"):
        visit.client = bob  # type: ignore[assignment]  # which is what is tested

    with pytest.raises(AttributeError, match=r"Set site and number\.$"):
        visit.place = None  # type: ignore[assignment]  # as above

    with pytest.raises(TypeError, match="unexpected keyword arguments: 'client'"):
        Visit(client=bob)


def test_to_delete_it_is_to_forget(visit: Visit, ann: Client) -> None:
    assert name_of(visit) == "Ann"
    Client.objects.filter(pk=ann.pk).update(name="Anna")
    assert name_of(visit) == "Ann"

    del visit.client
    del visit.client

    assert name_of(visit) == "Anna"


def test_to_refresh_from_the_database_is_to_forget(visit: Visit, ann: Client) -> None:
    assert name_of(visit) == "Ann"
    Client.objects.filter(pk=ann.pk).update(name="Anna")

    visit.refresh_from_db()

    assert name_of(visit) == "Anna"


def test_to_refresh_the_key_is_to_ask_for_the_row_that_it_refers_to_now(
    visit: Visit, bob: Client
) -> None:
    assert name_of(visit) == "Ann"
    Visit.objects.filter(pk=visit.pk).update(client_id=bob.pk)

    visit.refresh_from_db(fields=["client_id"])

    assert name_of(visit) == "Bob"


def test_to_load_what_was_deferred_is_not_to_forget(visit: Visit, measured: Measure) -> None:
    deferred = Visit.objects.defer("note").get(pk=visit.pk)
    assert name_of(deferred) == "Ann"

    with measured() as cost:
        assert (deferred.note, name_of(deferred)) == (None, "Ann")

    assert cost.counts == (1, 0, 0)


def test_to_save_is_not_to_forget(visit: Visit, measured: Measure) -> None:
    assert name_of(visit) == "Ann"
    visit.save()

    with measured() as cost:
        assert name_of(visit) == "Ann"

    assert cost.counts == (0, 0, 0)


def test_a_deferred_key_is_loaded(visit: Visit) -> None:
    assert name_of(Visit.objects.only("pk").get(pk=visit.pk)) == "Ann"


def test_a_row_that_failed_and_is_left_out_gives_none_until_the_key_changes(
    measured: Measure, ann: Client
) -> None:
    visit = Visit(client_id=Client.objects.create(name=NAME).pk)
    with unreadable("relations_client"):
        with measured() as cost:
            assert visit.or_none is None
        with measured() as again:
            assert visit.or_none is None

        visit.client_id = ann.pk

        assert visit.or_none is not None
        assert visit.or_none.name == "Ann"
    assert len(cost.to_b) > 0
    assert again.counts == (0, 0, 0)


def test_a_row_that_failed_is_an_error_and_asked_for_again() -> None:
    broken = Client.objects.create(name=NAME)
    visit = Visit(client_id=broken.pk)

    with unreadable("relations_client"), pytest.raises(ReferenceUnavailable):
        _ = visit.client

    assert name_of(visit) == NAME


@pytest.mark.parametrize("model", [UrgentVisit, ProxiedVisit])
def test_models_inherit_it(model: type[Visit], ann: Client) -> None:
    model.objects.create(client_id=ann.pk)

    (visit,) = model.objects.prefetch_related("client", "place")

    assert name_of(visit) == "Ann"
    assert name_of(Visit.objects.get()) == "Ann"


def test_the_class_gives_the_descriptor() -> None:
    assert isinstance(Visit.client, ReferenceTo)
    assert Visit.client.key == "client_id"
    assert repr(Visit.place) == "ReferenceTo('place', key=('site', 'number'))"


@pytest.mark.parametrize(
    "again",
    [copy.copy, copy.deepcopy, lambda visit: pickle.loads(pickle.dumps(visit))],  # noqa: S301 - our own
)
def test_copies_remember_it(again: Any, visit: Visit, measured: Measure, bob: Client) -> None:
    assert name_of(visit) == "Ann"

    copied = again(visit)
    with measured() as cost:
        assert name_of(copied) == "Ann"
    copied.client_id = bob.pk

    assert cost.counts == (0, 0, 0)
    assert [name_of(each) for each in (copied, visit)] == ["Bob", "Ann"]


def test_a_copy_that_looked_something_up_says_nothing_of_the_original(
    visit: Visit, bob: Client
) -> None:
    assert name_of(visit) == "Ann"
    copied = copy.copy(visit)

    copied.client_id = bob.pk
    assert name_of(copied) == "Bob"
    visit.client_id = bob.pk

    assert name_of(visit) == "Bob"


def test_an_unknown_reference_is_told_at_the_first_access(
    visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Visit.client, "reference", "nowhere")

    with pytest.raises(UnknownReference, match="'nowhere' is not a registered reference"):
        _ = visit.client


@pytest.fixture
def added() -> Iterator[None]:
    Visit.add_to_class("added", ReferenceTo("client", key="client_id"))
    yield
    del Visit.added  # type: ignore[attr-defined]  # added


@pytest.mark.usefixtures("added", "visit")
def test_it_can_be_added_to_a_model_of_others() -> None:
    (found,) = Visit.objects.prefetch_related("added")

    assert found.added.name == "Ann"  # type: ignore[attr-defined]  # as above


def test_queries_do_not_know_it(visit: Visit) -> None:
    (row,) = Visit.objects.prefetch_related("client").values("client_id")

    assert row == {"client_id": visit.client_id}
    with pytest.raises(FieldError):
        Visit.objects.values("client")
    with pytest.raises(FieldError):
        Visit.objects.filter(client=1)


def test_an_event_loop_is_not_blocked(visit: Visit) -> None:
    async def read() -> object:
        return visit.client

    with pytest.raises(SynchronousOnlyOperation, match="prefetch_related"):
        async_to_sync(read)()
