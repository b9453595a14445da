"""W007: routers that ignore the instance, where there are replicas."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connections, models

from refcache import ReferenceCache
from refcache.routing import InstanceRouter, TracingRouter
from refcache.routing.checks import check_routers
from tests.routing.models import Author, Book
from tests.routing.routers import PRIMARY, REPLICA, ByModel, MindsInstance, ReadsPrimary

Route = Callable[..., None]


class WithReplica(InstanceRouter):
    replicas = {PRIMARY: [REPLICA]}


class Choosing:
    """Reads from one of many: the first answers for a model say little."""

    def __init__(self) -> None:
        self.asked: Counter[type[models.Model]] = Counter()

    def db_for_read(self, model: type[models.Model], **_: Any) -> str:
        self.asked[model] += 1
        return REPLICA if self.asked[model] < 10 else PRIMARY

    def db_for_write(self, _: type[models.Model], **__: Any) -> str:
        return PRIMARY


class Demanding:
    """Cannot answer for an instance that is no row."""

    def db_for_read(self, _: type[models.Model], instance: Any = None, **__: Any) -> str:
        return str(instance.tenant.alias)


class MindsAllBut(MindsInstance):
    """Forgets one model."""

    def db_for_read(
        self, model: type[models.Model], instance: models.Model | None = None, **hints: Any
    ) -> str | None:
        forgotten = model is Author
        return PRIMARY if forgotten else super().db_for_read(model, instance, **hints)

    def db_for_write(self, *_: Any, **__: Any) -> str:
        return PRIMARY


@pytest.fixture
def references(monkeypatch: pytest.MonkeyPatch) -> ReferenceCache:
    """What the check looks at, in place of the project's own references."""
    references = ReferenceCache()
    monkeypatch.setattr("refcache.routing.checks.references", references)
    return references


@pytest.fixture
def mirrored(monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings say that one alias is a replica of another."""
    test = connections.settings[REPLICA]["TEST"]
    monkeypatch.setitem(test, "MIRROR", PRIMARY)


def found() -> list[str]:
    messages = check_routers()
    assert all(each.id == "refcache.W007" for each in messages)
    return [each.msg for each in messages]


@pytest.mark.usefixtures("references")
def test_without_replicas_any_router_will_do(routed_by: Route) -> None:
    routed_by(ReadsPrimary())

    assert found() == []


@pytest.mark.usefixtures("references", "mirrored")
def test_w007_a_replica_of_the_settings_is_looked_at(routed_by: Route) -> None:
    routed_by(TracingRouter(), ReadsPrimary())

    (message,) = found()

    assert message.startswith(
        "tests.routing.routers.ReadsPrimary ignores the instance that a read is for: rows of "
    )
    assert f"from the replica {REPLICA!r} are read from {PRIMARY!r}." in message


def test_a_replica_that_fills_is_looked_at(references: ReferenceCache, routed_by: Route) -> None:
    references.register("lab.Author", ["name"], name="author", fill_from=REPLICA, grace=10)
    routed_by(ReadsPrimary())

    assert len(found()) == 1


def test_a_reference_in_error_is_passed_over(references: ReferenceCache, routed_by: Route) -> None:
    references.register("lab.Author", ["nope"], name="author", fill_from=REPLICA, grace=10)
    routed_by(ReadsPrimary())

    assert found() == []


@pytest.mark.usefixtures("references")
def test_a_router_before_an_instance_router_is_looked_at(routed_by: Route) -> None:
    routed_by(ReadsPrimary(), WithReplica())

    (message,) = found()

    assert message.startswith("tests.routing.routers.ReadsPrimary ignores")


@pytest.mark.parametrize(
    "router",
    [WithReplica(), MindsInstance(), object(), Demanding()],
    ids=["instance-router", "by-hand", "none", "demanding"],
)
@pytest.mark.usefixtures("references", "mirrored")
def test_a_router_that_minds_the_instance_is_in_order(routed_by: Route, router: Any) -> None:
    routed_by(router)

    assert found() == []


@pytest.mark.parametrize(
    ("router", "model"),
    [(MindsAllBut(), Author), (ByModel(), Author)],
    ids=["minds-all-but", "by-model"],
)
@pytest.mark.usefixtures("references", "mirrored")
def test_the_model_is_named(routed_by: Route, router: Any, model: type[models.Model]) -> None:
    routed_by(router)

    (message,) = found()

    assert f"rows of {model._meta.label} that" in message


@pytest.mark.usefixtures("references", "mirrored")
def test_one_that_chooses_at_random_is_found_out(routed_by: Route) -> None:
    routed_by(Choosing())

    (message,) = found()

    assert "Choosing ignores the instance" in message
    assert "more models" in message


def test_the_check_has_a_heading() -> None:
    page = Path(__file__).parents[2] / "docs" / "checks.md"

    assert "\n## refcache.W007\n" in page.read_text()


def test_it_is_registered_with_the_others() -> None:
    from django.core.checks.registry import registry  # noqa: PLC0415 - named once

    assert check_routers in registry.get_checks()
    assert Book._meta.label == "lab.Book"
