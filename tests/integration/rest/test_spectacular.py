"""The OpenAPI schema, made and validated by drf-spectacular's own command."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import call_command
from pytest_django import Settings

from refcache import InvalidReference
from refcache.rest_framework import ReferenceField
from tests.restapp.described import DescribedSerializer, DescribedView, GatheringView

spectacular = pytest.importorskip("drf_spectacular.management.commands.spectacular")

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "events"])

VERSIONS = ("3.0.3", "3.1.1")


@pytest.fixture(autouse=True)
def schema_class(settings: Settings) -> None:
    settings.REST_FRAMEWORK = {
        **settings.REST_FRAMEWORK,
        "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    }


def schema_of(folder: Path, version: str = VERSIONS[0]) -> dict[str, Any]:
    """Make the schema, and stop at any warning."""
    from drf_spectacular.settings import patched_settings  # noqa: PLC0415 - optional

    file = folder / "schema.yml"
    with patched_settings({"OAS_VERSION": version}):
        call_command(
            spectacular.Command(),
            "--validate",
            "--fail-on-warn",
            urlconf="tests.restapp.described",
            file=str(file),
        )
    made = yaml.safe_load(file.read_text())
    assert isinstance(made, dict)
    return made


def properties_of(folder: Path, version: str = VERSIONS[0]) -> dict[str, Any]:
    found = schema_of(folder, version)["components"]["schemas"]["Described"]["properties"]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_the_schema_is_valid_and_gives_no_warning(tmp_path: Path, version: str) -> None:
    assert schema_of(tmp_path, version)["openapi"] == version


def test_a_field_has_the_type_of_the_models(tmp_path: Path) -> None:
    name = properties_of(tmp_path)["name"]

    assert name == {"type": "string", "nullable": True, "readOnly": True}


def test_a_spanned_field_has_the_type_of_its_own_model(tmp_path: Path) -> None:
    firm = properties_of(tmp_path)["firm"]

    assert firm == {"type": "string", "nullable": True, "readOnly": True}


def test_a_whole_snapshot_is_an_object_of_all_declared_fields(tmp_path: Path) -> None:
    found = properties_of(tmp_path)

    assert found["buyer"]["type"] == found["account"]["type"] == "object"
    assert list(found["buyer"]["properties"]) == ["name", "tier"]
    assert list(found["account"]["properties"]) == ["name", "firm__name"]
    assert found["buyer"]["properties"]["name"]["type"] == "string"


def test_every_reference_is_nullable_and_read_only(tmp_path: Path) -> None:
    found = properties_of(tmp_path)

    for name in ("name", "tier", "buyer", "firm", "account", "represented"):
        assert (found[name]["nullable"], found[name]["readOnly"]) == (True, True)
    assert found["account"]["properties"]["firm__name"]["nullable"] is True


def test_null_is_a_type_in_later_versions(tmp_path: Path) -> None:
    found = properties_of(tmp_path, "3.1.1")

    assert found["firm"]["type"] == ["string", "null"]
    assert found["buyer"]["type"] == ["object", "null"]
    assert found["account"]["properties"]["firm__name"]["type"] == ["string", "null"]
    assert found["represented"]["properties"]["date"]["type"] == ["string", "null"]
    assert "'nullable'" not in str(found)


def test_choices_are_told(tmp_path: Path) -> None:
    schemas = schema_of(tmp_path)["components"]["schemas"]

    assert schemas["TierEnum"]["enum"] == ["basic", "gold"]
    assert "TierEnum" in str(schemas["Described"]["properties"]["tier"])


@pytest.mark.parametrize(
    ("name", "described"),
    [
        ("date", ("string", "date")),
        ("datetime", ("string", "date-time")),
        ("decimal", ("string", "decimal")),
        ("file", ("string", "uri")),
        ("flag", ("boolean", None)),
        ("floating", ("number", "double")),
        ("gadget", ("integer", None)),
        ("time", ("string", "time")),
        ("uuid", ("string", "uuid")),
        ("dates", ("array", None)),
    ],
)
def test_types_are_those_that_are_represented(
    tmp_path: Path, name: str, described: tuple[str, str | None]
) -> None:
    found = properties_of(tmp_path)["represented"]["properties"][name]

    assert (found["type"], found.get("format")) == described


def test_help_text_is_the_description(tmp_path: Path) -> None:
    assert properties_of(tmp_path)["buyer"]["description"] == "Who buys."


def test_a_reference_is_not_asked_for_in_requests(tmp_path: Path) -> None:
    schema = schema_of(tmp_path)["components"]["schemas"]["Described"]

    assert "name" in schema["required"]  # in an answer it always is
    assert schema["properties"]["name"]["readOnly"] is True


def test_a_field_that_the_reference_does_not_declare_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wrong(DescribedSerializer):
        name = ReferenceField("buyer", key="buyer_id", field="nam")

    monkeypatch.setattr(DescribedView, "serializer_class", Wrong)

    with pytest.raises(InvalidReference, match=r"'nam'.*known: name, tier"):
        schema_of(tmp_path)


def test_headers_are_told_where_a_view_reports_staleness(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = schema_of(tmp_path)
    monkeypatch.setattr(GatheringView, "reports_staleness", True)

    told = schema_of(tmp_path)["paths"]["/orders/{id}/"]

    for method in ("get", "put", "patch"):
        headers = told[method]["responses"]["200"]["headers"]
        assert headers["Age"]["schema"]["type"] == "integer"
        assert headers["Refcache-Stale"]["schema"]["type"] == "string"
    assert "headers" not in str(silent["paths"])
