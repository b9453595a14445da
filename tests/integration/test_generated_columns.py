"""Columns that the database computes, and keys that it makes."""

from collections.abc import Callable

import pytest
import redis

from refcache import ReferenceCache
from refcache.core import entries
from refcache.reference import Reference
from tests.integration.conftest import NewRegistry
from tests.integration.watching import statements
from tests.testapp.models import Label, Ticket

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def lengths(registry: ReferenceCache) -> Reference:
    registry.register("testapp.Label", ["length"], name="length")
    return registry["length"]


def length_of(reference: Reference, key: object) -> int | None:
    found = reference.get(key)
    return found.length if found else None


def test_a_save_of_one_column_drops_what_is_computed_from_it(lengths: Reference) -> None:
    label = Label.objects.create(text="four")
    assert length_of(lengths, label.pk) == 4

    label.text = "longer"
    label.save(update_fields=["text"])

    assert length_of(lengths, label.pk) == 6


def test_update_or_create_drops_what_is_computed(lengths: Reference) -> None:
    label = Label.objects.create(text="four")
    assert length_of(lengths, label.pk) == 4

    Label.objects.update_or_create(pk=label.pk, defaults={"text": "longer"})

    assert length_of(lengths, label.pk) == 6


def test_a_filter_by_a_computed_column_is_seen_to_change(registry: ReferenceCache) -> None:
    registry.register("testapp.Label", ["note"], name="short", filter={"length__lt": 5})
    label = Label.objects.create(text="four")
    assert registry["short"].get(label.pk)

    label.text = "longer"
    label.save(update_fields=["text"])

    assert registry["short"].get(label.pk) is None


def test_a_key_that_the_database_computes_is_found_again_after_a_write(
    registry: ReferenceCache,
) -> None:
    registry.register("testapp.Label", ["text"], name="by_lower", key="lower")
    label = Label.objects.create(text="Old")
    assert registry["by_lower"].get_many(["old", "new"]).keys() == {"old"}

    label.text = "New"
    label.save(update_fields=["text"])

    assert registry["by_lower"].get_many(["old", "new"]).keys() == {"new"}


def test_a_save_of_other_columns_leaves_entries_without_computed_ones(
    registry: ReferenceCache,
) -> None:
    registry.register("testapp.Label", ["text"], name="text")
    label = Label.objects.create(text="four")
    registry["text"].get(label.pk)

    label.note = "changed"
    label.save(update_fields=["note"])

    with statements() as sent:
        assert registry["text"].get(label.pk)
    assert sent == []


# Primary keys


@pytest.fixture
def tickets(registry: ReferenceCache) -> Reference:
    registry.register("testapp.Ticket", ["title"], name="ticket")
    return registry["ticket"]


@pytest.fixture
def epoch(client: redis.Redis, new_registry: NewRegistry) -> Callable[[], bytes]:
    """The id of the tickets' epoch."""

    def read() -> bytes:
        key = new_registry.prefix + b"ticket:epoch"
        raw = client.get(key)
        assert isinstance(raw, bytes)
        found = entries.parse_epoch(key, raw)
        assert found is not None
        return found.id

    return read


def test_a_row_whose_key_the_database_makes_leaves_the_other_rows_alone(
    tickets: Reference, epoch: Callable[[], bytes]
) -> None:
    first = Ticket.objects.create(title="first")
    tickets.get(first.pk)
    before = epoch()

    second = Ticket(title="second")
    second.save()

    assert epoch() == before
    with statements() as sent:
        assert tickets.get(first.pk)
    assert sent == []
    found = tickets.get(second.pk)
    assert found is not None
    assert found.title == "second"
