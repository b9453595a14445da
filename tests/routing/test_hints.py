"""The hints of refcache's own loads, for the routers that take them."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import models, router

from refcache import InvalidReference, ReferenceCache
from refcache.reading.hints import accepted
from refcache.routing import RouterTrace, TracingRouter
from tests.integration.conftest import new_registry, registry, scripts  # noqa: F401 - fixtures
from tests.integration.watching import statements
from tests.testapp.models import Customer

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "events"])

Route = Callable[..., None]
LOAD = {"operation": "load", "cardinality": "many"}
CUSTOMER = LOAD | {"reference": "customer", "field": ("pk",)}


class Taking:
    """Takes any hint, and notes what it is given for loads of a model."""

    def __init__(self) -> None:
        self.loads: list[tuple[str, dict[str, Any]]] = []

    def db_for_write(self, model: type[models.Model], **hints: Any) -> None:
        if hints.get("operation") == "load":
            self.loads.append((model.__name__, hints))


class Bare:
    """Takes no hints at all; Django itself gives it none for a queryset."""

    def db_for_write(self, model: type[models.Model]) -> str:
        del model
        return "default"


class Django:
    """Takes Django's own hint."""

    def db_for_write(self, model: type[models.Model], instance: models.Model | None = None) -> str:
        del model, instance
        return "default"


class Some:
    """Takes some of them, and notes them."""

    def __init__(self) -> None:
        self.given: list[tuple[str | None, str | None]] = []

    def db_for_write(
        self, model: type[models.Model], *, operation: str | None = None, field: Any = None
    ) -> None:
        del model
        self.given.append((operation, field))


class Wrong:
    """Has a TypeError of its own."""

    def db_for_write(self, model: type[models.Model]) -> str:
        return model + 1  # type: ignore[operator,return-value]  # what it is there for


def register(registry: ReferenceCache, **rest: Any) -> None:  # noqa: F811 - a fixture's value
    registry.register("testapp.Customer", ["name", "company__name"], name="customer", **rest)


def test_a_load_tells_the_router_what_it_is_for(
    registry: ReferenceCache,  # noqa: F811 - a fixture
    routed_by: Route,
) -> None:
    taking = Taking()
    routed_by(taking)
    register(registry)
    ann = Customer.objects.create(name="Ann")
    taking.loads.clear()

    assert registry["customer"].get(ann.pk)

    assert ("Customer", CUSTOMER) in taking.loads
    # Rows that are spanned are of no single reference.
    taking.loads.clear()
    registry.connect()
    registry._declared.forget_plans()
    registry["customer"].get(ann.pk)
    assert ("Company", LOAD) in taking.loads


def test_the_field_is_the_key_that_rows_are_asked_by(
    registry: ReferenceCache,  # noqa: F811 - a fixture
    routed_by: Route,
) -> None:
    taking = Taking()
    routed_by(taking)

    register(registry, key="email")
    registry["customer"].get("nobody@example.org")

    fields = {hints.get("field") for model, hints in taking.loads if model == "Customer"}
    assert ("email",) in fields


@pytest.mark.parametrize("kind", [Bare, Django, Some])
def test_a_router_that_takes_no_such_hints_is_asked_without(
    registry: ReferenceCache,  # noqa: F811 - a fixture
    routed_by: Route,
    kind: type[Any],
) -> None:
    routed_by(kind())
    register(registry)

    assert registry["customer"].get(0) is None


def test_routers_are_given_what_all_of_them_take(routed_by: Route) -> None:
    some, taking = Some(), Taking()

    routed_by(some, taking)
    assert accepted("db_for_write", CUSTOMER) == {"operation": "load", "field": ("pk",)}

    routed_by(some, taking, Bare())
    assert accepted("db_for_write", CUSTOMER) == {}

    routed_by(taking)
    assert accepted("db_for_write", CUSTOMER) == CUSTOMER

    routed_by(object())
    assert accepted("db_for_write", CUSTOMER) == CUSTOMER


def test_a_type_error_of_the_routers_own_is_not_hidden(
    registry: ReferenceCache,  # noqa: F811 - a fixture
    routed_by: Route,
) -> None:
    routed_by(Wrong())
    register(registry)

    with pytest.raises(TypeError, match="unsupported operand"):
        registry["customer"].get(1)


def test_loads_can_be_sent_to_an_alias_of_their_own(
    registry: ReferenceCache,  # noqa: F811 - a fixture
    routed_by: Route,
) -> None:
    class Heavy:
        def db_for_write(self, _: type[models.Model], **hints: Any) -> str:
            return "events" if hints.get("reference") == "elsewhere" else "default"

    routed_by(Heavy())
    registry.register("testapp.OrderEvent", ["amount"], name="elsewhere")

    with statements("events") as sent:
        assert registry["elsewhere"].get(0) is None

    assert len(sent) == 1


def test_an_answer_that_changes_is_refused(
    registry: ReferenceCache,  # noqa: F811 - a fixture
    routed_by: Route,
) -> None:
    class Fickle:
        alias = "default"

        def db_for_write(self, model: type[models.Model], **_: Any) -> str:
            del model
            return self.alias

    routed_by(Fickle())
    register(registry)
    registry["customer"].get(0)
    Fickle.alias = "events"

    with pytest.raises(InvalidReference, match="is read from 'default', and now the router"):
        registry["customer"].get(0)


def test_a_trace_shows_the_hints_of_a_load(
    registry: ReferenceCache,  # noqa: F811 - a fixture
    routed_by: Route,
) -> None:
    routed_by(TracingRouter())
    register(registry)

    with RouterTrace() as trace:
        registry["customer"].get(0)

    shown = [each.hints for each in trace.decisions if each.model == "testapp.Customer"]
    assert {name: repr(hint) for name, hint in CUSTOMER.items()} in shown


def test_django_gives_no_hint_but_the_instance(routed_by: Route) -> None:
    """So that what it refuses to say is not what a router misses."""
    taking = Taking()
    routed_by(taking)

    Customer.objects.create(name="Ann")
    router.db_for_write(Customer)

    assert [hints for model, hints in taking.loads if "instance" in hints] == []
