"""Old and new code on one Redis: two registries, of which one alone sees the writes."""

from typing import Any

import pytest
from django.db import connections, transaction
from django.db.backends.signals import connection_created
from django.db.models.signals import post_delete, post_save, pre_delete, pre_save

from refcache import ReferenceCache
from refcache.sql.sessions import install
from refcache.writing.receivers import related_models
from tests.integration.conftest import NewRegistry
from tests.integration.watching import in_thread, statements, update_unseen
from tests.testapp.models import Company, Customer

pytestmark = pytest.mark.django_db(transaction=True)

OLD: dict[str, Any] = {"fields": ["name"]}
NEW: dict[str, Any] = {"fields": ["name", "tier"]}
CHANGES = [
    pytest.param(OLD, NEW, id="field"),
    pytest.param(OLD, OLD | {"version": 2}, id="version"),
    pytest.param(OLD, OLD | {"filter": {"is_active": True}}, id="filter"),
]


def make(new_registry: NewRegistry, declaration: dict[str, Any]) -> ReferenceCache:
    registry = new_registry()
    registry.register("testapp.Customer", name="customer", **declaration)
    return registry


def deafen(registry: ReferenceCache) -> None:
    """As code that runs in other processes does, see nothing of this process's writes."""
    watcher, uid = registry._hooks._sql_watcher, f"refcache:{id(registry._hooks._receivers)}"
    connection_created.disconnect(dispatch_uid=f"refcache:{id(watcher)}")
    for connection in connections.all():
        install(connection).watchers.discard(watcher)
    for model in (*related_models(Customer), *related_models(Company)):
        for signal in (pre_save, post_save, pre_delete, post_delete):
            signal.disconnect(sender=model, dispatch_uid=uid)


def name_of(registry: ReferenceCache, pk: int) -> str | None:
    found = registry["customer"].get(pk)
    return found.name if found else None


@pytest.mark.parametrize(("old", "new"), CHANGES)
@pytest.mark.parametrize("writer", ["old", "new"])
def test_a_write_by_either_reaches_both(
    new_registry: NewRegistry, old: dict[str, Any], new: dict[str, Any], writer: str
) -> None:
    registries = {"old": make(new_registry, old), "new": make(new_registry, new)}
    ann = Customer.objects.create(name="Ann")
    assert [name_of(each, ann.pk) for each in registries.values()] == ["Ann", "Ann"]
    deafen(registries["new" if writer == "old" else "old"])

    ann.name = "Bea"
    ann.save()

    assert [name_of(each, ann.pk) for each in registries.values()] == ["Bea", "Bea"]


@pytest.mark.parametrize(("old", "new"), CHANGES)
def test_each_has_entries_of_its_own(
    new_registry: NewRegistry, old: dict[str, Any], new: dict[str, Any]
) -> None:
    registries = [make(new_registry, old), make(new_registry, new)]
    ann = Customer.objects.create(name="Ann")
    found = [each["customer"].get(ann.pk) for each in registries]

    with statements() as sent:
        again = [each["customer"].get(ann.pk) for each in registries]

    assert sent == []
    assert again == found


def test_a_writer_that_knows_only_itself_reaches_who_came_later(new_registry: NewRegistry) -> None:
    old, new = make(new_registry, OLD), make(new_registry, NEW)
    deafen(new)
    ann = Customer.objects.create(name="Ann")
    name_of(old, ann.pk)
    ann.save()
    assert name_of(new, ann.pk) == "Ann"

    ann.name = "Bea"
    ann.save()

    assert name_of(new, ann.pk) == "Bea"


def test_who_comes_while_a_write_is_under_way_stores_nothing_yet(
    new_registry: NewRegistry,
) -> None:
    old, new = make(new_registry, OLD), make(new_registry, NEW)
    deafen(new)
    ann = Customer.objects.create(name="Ann")
    name_of(old, ann.pk)

    with transaction.atomic():
        ann.name = "Bea"
        ann.save()
        assert in_thread(lambda: name_of(new, ann.pk)) == "Ann"

    assert name_of(new, ann.pk) == "Bea"


def test_who_comes_while_a_write_is_under_way_outlives_its_writer(
    new_registry: NewRegistry,
) -> None:
    old, new = make(new_registry, OLD), make(new_registry, NEW)
    deafen(new)
    ann = Customer.objects.create(name="Ann")
    name_of(old, ann.pk)

    transaction.set_autocommit(False)  # no release follows, as after the writer's death
    try:
        ann.name = "Bea"
        ann.save()
        assert in_thread(lambda: name_of(new, ann.pk)) == "Ann"
        transaction.commit()
    finally:
        transaction.set_autocommit(True)

    assert name_of(new, ann.pk) == "Bea"


@pytest.mark.parametrize("by", ["old", "new"])
def test_an_invalidation_by_either_reaches_both(new_registry: NewRegistry, by: str) -> None:
    registries = {"old": make(new_registry, OLD), "new": make(new_registry, NEW)}
    ann = Customer.objects.create(name="Ann")
    for change in ("invalidate", "invalidate_all"):
        for each in registries.values():
            name_of(each, ann.pk)
        update_unseen(Customer.objects.all(), name=change)

        getattr(registries[by]["customer"], change)(*[ann.pk] if change == "invalidate" else ())

        assert [name_of(each, ann.pk) for each in registries.values()] == [change, change]


def test_spanned_rows_of_both_are_reached(new_registry: NewRegistry) -> None:
    old = make(new_registry, {"fields": ["company__name"]})
    new = make(new_registry, {"fields": ["company__name", "company__code"]})
    deafen(old)
    company = Company.objects.create(name="ACME", code="a")
    ann = Customer.objects.create(name="Ann", company=company)
    for each in (old, new):
        each["customer"].get(ann.pk)

    company.name = "Renamed"
    company.save()

    for each in (old, new):
        found = each["customer"].get(ann.pk)
        assert found is not None
        assert found.company__name == "Renamed"


def test_the_next_version_can_be_warmed_before_the_switch(new_registry: NewRegistry) -> None:
    old, new = make(new_registry, OLD), make(new_registry, NEW)
    pks = [Customer.objects.create(name=name).pk for name in "abc"]
    old["customer"].get_many(pks)

    counts = new["customer"].warm()

    assert (counts.seen, counts.loaded, counts.stored) == (3, 3, 3)
    with statements() as sent:
        assert len(new["customer"].get_many(pks)) == len(old["customer"].get_many(pks)) == 3
    assert sent == []
