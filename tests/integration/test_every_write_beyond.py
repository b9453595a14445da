"""What Django's connections are not told of: the next read has the old value, until the relay ran.

The exceptions to "every write is seen": see docs/writes.md.
"""

from collections.abc import Callable

import pytest

from refcache import ReferenceCache
from refcache.querysets import ReferenceQuerySet
from tests.integration.every_write.scenes import Stage
from tests.integration.every_write.staging import on_each, stage
from tests.integration.every_write.table import RELAY, TTL, Kind
from tests.outbox.conftest import no_triggers, relay, stop, watched
from tests.testapp.models import Customer

__all__ = ["no_triggers", "relay", "stage", "stop", "watched"]

Watch = Callable[..., None]
Drain = Callable[..., int]


@pytest.mark.parametrize(("kind", "alias"), on_each(RELAY))
def test_the_next_read_after_the_relay_has_what_was_written(
    kind: Kind, alias: str, stage: Stage, watched: Watch, relay: Drain
) -> None:
    scene = stage.set(kind.arrange, is_precise=kind.is_precise)
    watched(stage.watching, alias, notify=False)  # as PREPARE TRANSACTION wants it
    stage.warm()

    scene.write()
    assert stage.read() == scene.before
    assert relay(stage.watching, alias) > 0

    assert stage.read() == scene.after


@pytest.mark.parametrize(("kind", "alias"), on_each(TTL))
def test_what_triggers_do_not_see_is_read_when_the_ttl_has_passed(
    kind: Kind, alias: str, stage: Stage, watched: Watch, relay: Drain
) -> None:
    scene = stage.set(kind.arrange, is_precise=kind.is_precise)
    watched(stage.watching, alias)
    stage.warm()

    scene.write()
    relay(stage.watching, alias)
    assert stage.read() == scene.before
    stage.watching[scene.reference].invalidate_all()

    assert stage.read() == scene.after


@pytest.mark.django_db(transaction=True)
def test_without_watch_sql_signals_and_reference_querysets_are_all_that_is_seen(
    registry: ReferenceCache,
) -> None:
    registry.register("testapp.Customer", ["name"], name="customer", watch_sql=False)
    customers = registry["customer"]
    ann = Customer.objects.create(name="Ann")

    def name() -> str | None:
        found = customers.get(ann.pk)
        return found.name if found else None

    assert name() == "Ann"
    Customer.objects.update(name="Bea")
    assert name() == "Ann"
    ReferenceQuerySet(Customer).filter(name="Bea").update(name="Cyd")
    assert name() == "Cyd"
    ann.name = "Dee"
    ann.save()
    assert name() == "Dee"
    Customer.objects.filter(name="Dee").delete()
    assert name() is None
