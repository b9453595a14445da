"""refcache.E007: what is wrong with a `ReferenceTo` is told before it is used."""

from typing import Any

import pytest
from django.apps import apps
from django.core.checks.registry import registry
from django.db import models
from django.test.utils import isolate_apps

from refcache import ReferenceTo, reference_checks
from refcache.reference_to import relations_of
from tests.relations.models import UrgentVisit, Visit


def found() -> list[str]:
    (check,) = [
        each for each in registry.get_checks() if each.__module__ == reference_checks.__name__
    ]
    return [f"{each.id}: {each.msg}" for each in check(app_configs=None, databases=None)]


def problems(each: ReferenceTo, *, of: type[models.Model] = Visit) -> list[str]:
    """What is said of *each* on a model that it is put on for the while."""
    of.add_to_class("tried", each)
    try:
        return found()
    finally:
        del of.tried  # type: ignore[attr-defined]  # added


def test_a_project_in_order_has_no_messages() -> None:
    assert apps.is_installed("tests.relations")
    assert found() == []


def test_relations_of_mixins_and_parents_are_known() -> None:
    assert {each.name for each in relations_of(UrgentVisit)} >= {"client", "machine", "place"}


@pytest.mark.parametrize(
    ("each", "message"),
    [
        (
            ReferenceTo("custmer", key="client_id"),
            "relations.Visit.tried: 'custmer' is not a registered reference (known: ",
        ),
        (
            ReferenceTo("client", key="customer_id"),
            "relations.Visit.tried: Visit has no attribute 'customer_id' that could be its key.",
        ),
        (
            ReferenceTo("place", key=("site", "no")),
            "relations.Visit.tried: Visit has no attribute 'no' that could be its key.",
        ),
        (
            ReferenceTo("client", key="tried"),
            "relations.Visit.tried: its key 'tried' is a ReferenceTo itself.",
        ),
        (
            ReferenceTo("client", key=("site", "number")),
            "relations.Visit.tried: its key (site, number) cannot be one of reference 'client', ",
        ),
        (
            ReferenceTo("client", key="client_id", along_with=["machine", "batch"]),
            "relations.Visit.tried: along_with names 'batch', which is no ReferenceTo of Visit.",
        ),
    ],
)
def test_e007_a_reference_to_that_cannot_work_is_told_once(each: ReferenceTo, message: str) -> None:
    (told,) = problems(each)

    assert told.startswith(f"refcache.E007: {message}")


@pytest.mark.parametrize("key", ["pk", "client_id", "batch_id", "described"])
def test_a_key_may_be_any_attribute_of_the_model(key: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(Visit, "described", property(lambda visit: visit.note), raising=False)

    assert problems(ReferenceTo("client", key=key)) == []


def test_each_model_of_an_abstract_one_is_looked_at() -> None:
    with isolate_apps("tests.relations"):

        class Base(models.Model):
            tried = ReferenceTo("client", key="client_id")

            class Meta:
                abstract = True
                app_label = "relations"

        class With(Base):
            client_id = models.IntegerField()

            class Meta:
                app_label = "relations"

        class Without(Base):
            class Meta:
                app_label = "relations"

        messages = [
            problem
            for model in (With, Without)
            for each in reference_checks._own(model)
            for problem in reference_checks._problems(model, each)
        ]

    assert len(messages) == 1
    assert messages[0].startswith("Without has no attribute 'client_id'")


def test_a_declaration_that_cannot_work_is_left_to_its_own_check(broken: str) -> None:
    assert problems(ReferenceTo(broken, key="client_id")) == []


def test_settings_that_cannot_work_are_left_to_their_own_check(settings: Any) -> None:
    settings.REFCACHE = {"TIMEOUTS": 1}

    assert found() == []
