"""A value is represented exactly as a ModelSerializer represents that field of the row."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest
from django.apps.registry import Apps
from django.db import models
from django.utils import timezone
from pytest_django import Settings
from rest_framework import serializers
from rest_framework.renderers import JSONRenderer
from rest_framework.test import APIRequestFactory

from refcache import references
from refcache.rest_framework import ReferenceField
from refcache.rest_framework.representing import _representer
from tests.restapp.models import Gadget, Represented
from tests.restapp.serializers import RangeSerializer, RepresentedSerializer

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "events"])

VALUES = MappingProxyType(
    {
        "binary": b"\x00\xff\x80",
        "choice": "gold",
        "date": date(2024, 2, 29),
        "dates": [date(2024, 2, 29), None],
        "datetime": datetime(2024, 2, 29, 23, 59, 59, 123456, tzinfo=UTC),
        "decimal": Decimal("12.500"),
        "duration": timedelta(days=3, seconds=4, microseconds=5),
        "file": "folder/a b.txt",
        "flag": True,
        "floating": 0.1,
        "json": {"a": [1, {"b": None}], "c": "ü"},
        "span": (1, 7),
        "text": "<b>",
        "time": time(1, 2, 3, 456),
        "uuid": UUID("12345678123456781234567812345678"),
    }
)


class WholeSerializer(serializers.Serializer[Any]):
    row = ReferenceField("represented", key="pk")


@pytest.fixture
def row() -> Represented:
    made = Represented.objects.create(
        **VALUES, gadget=Gadget.objects.create(serial="g")
    )  # As the database gives it.
    return Represented.objects.get(pk=made.pk)


def by_model(row: Represented, **context: Any) -> dict[str, Any]:
    return dict(RepresentedSerializer(row, context=context).data)


def by_reference(row: Represented, **context: Any) -> dict[str, Any]:
    return dict(WholeSerializer(row, context=context).data["row"])


def test_every_value_is_represented_as_by_a_model_serializer(row: Represented) -> None:
    assert by_reference(row) == by_model(row)
    assert JSONRenderer().render(by_reference(row)) == JSONRenderer().render(by_model(row))


def test_a_field_without_a_serializer_field_is_represented_as_by_a_model_serializer(
    row: Represented,
) -> None:
    shown = RangeSerializer(row).data

    assert shown["shown"] == shown["span"]


def test_every_null_is_represented_as_by_a_model_serializer() -> None:
    row = Represented.objects.get(pk=Represented.objects.create().pk)

    assert by_reference(row) == by_model(row)


def test_a_warm_value_is_represented_as_a_cold_one(row: Represented) -> None:
    cold, warm = by_reference(row), by_reference(row)

    assert references["represented"].lookup([row.pk]).provenance(row.pk).tier == "redis"
    assert JSONRenderer().render(warm) == JSONRenderer().render(cold)


@pytest.mark.parametrize("name", [name for name in VALUES if name != "span"])
def test_a_single_field_is_represented_as_in_the_whole(row: Represented, name: str) -> None:
    class Serializer(serializers.Serializer[Any]):
        value = ReferenceField("represented", key="pk", field=name)

    assert Serializer(row).data["value"] == by_model(row)[name]


@pytest.mark.parametrize(
    "options",
    [
        {"COERCE_DECIMAL_TO_STRING": False},
        {"DATETIME_FORMAT": "%d.%m.%Y", "DATE_FORMAT": "%d.%m.", "TIME_FORMAT": "%H"},
        {"UPLOADED_FILES_USE_URL": False},
    ],
    ids=lambda options: next(iter(options)),
)
def test_rest_frameworks_settings_hold(
    row: Represented, settings: Settings, options: dict[str, Any]
) -> None:
    before = by_reference(row)

    settings.REST_FRAMEWORK = options

    assert by_reference(row) == by_model(row) != before


def test_the_current_time_zone_holds(row: Represented) -> None:
    with timezone.override("Asia/Tokyo"):
        shown = by_reference(row)["datetime"]
        assert shown == by_model(row)["datetime"]

    assert shown.endswith("+09:00")


def test_a_file_has_the_url_that_the_request_makes_absolute(
    row: Represented, settings: Settings
) -> None:
    settings.MEDIA_URL = "/media/"
    request = APIRequestFactory().get("/")

    shown = by_reference(row, request=request)["file"]

    assert shown == by_model(row, request=request)["file"]
    assert shown == "http://testserver/media/folder/a%20b.txt"


def test_an_image_is_a_file(settings: Settings) -> None:
    class Photo(models.Model):
        image = models.ImageField()

        class Meta:
            app_label = "restapp"
            apps = Apps()

    settings.MEDIA_URL = "/media/"

    represent = _representer(Photo._meta.get_field("image"))

    assert represent("a.png", serializers.Field()) == "/media/a.png"
    assert represent("", serializers.Field()) is None


def test_containers_are_plain_and_the_callers_own(row: Represented) -> None:
    shown = by_reference(row)
    shown["json"]["a"].append("changed")

    assert type(shown["json"]) is dict
    assert type(shown["json"]["a"]) is list
    assert by_reference(row)["json"] == VALUES["json"]
