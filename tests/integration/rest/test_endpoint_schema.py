"""The batch endpoint in the OpenAPI schema, made and validated by drf-spectacular's own command."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import call_command
from django.urls import path
from pytest_django import Settings
from rest_framework.authentication import BasicAuthentication
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from refcache.rest_framework import ReferenceView
from tests.integration.rest.test_spectacular import (  # noqa: F401 - a fixture
    VERSIONS,
    schema_class,
)

spectacular = pytest.importorskip("drf_spectacular.management.commands.spectacular")

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "events"])

MANY, ONE, BARE = "/references/{name}/", "/gadgets/by-serial/", "/buyers/"


class Many(ReferenceView):
    """Buyers and others."""

    permission_classes = [AllowAny]
    authentication_classes = [BasicAuthentication]
    references = {"account": "__all__", "represented": "__all__", "by-serial": ["serial"]}


class Described(ReferenceView):
    permission_classes = [AllowAny]
    authentication_classes = []
    references = {"by-serial": "__all__"}


urlpatterns = [
    path("references/<str:name>/", Many.as_view()),
    path("gadgets/by-serial/", Described.as_view(), {"name": "by-serial"}),
    path(
        "buyers/",
        ReferenceView.as_view(
            references={"buyer": ["name"]}, max_keys=7, permission_classes=[AllowAny]
        ),
        {"name": "buyer"},
    ),
]


def schema_of(folder: Path, version: str = VERSIONS[0]) -> dict[str, Any]:
    """Make the schema, and stop at any warning."""
    from drf_spectacular.settings import patched_settings  # noqa: PLC0415 - optional

    file = folder / "schema.yml"
    with patched_settings({"OAS_VERSION": version}):
        call_command(
            spectacular.Command(),
            "--validate",
            "--fail-on-warn",
            urlconf=__name__,
            file=str(file),
        )
    made = yaml.safe_load(file.read_text())
    assert isinstance(made, dict)
    return made


def parameters(schema: dict[str, Any], where: str) -> dict[str, Any]:
    return {each["name"]: each for each in schema["paths"][where]["get"]["parameters"]}


def rows(schema: dict[str, Any], name: str) -> dict[str, Any]:
    """The properties of a row that is found."""
    found = schema["components"]["schemas"][name]["properties"]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_the_schema_is_valid_and_gives_no_warning(tmp_path: Path, version: str) -> None:
    assert schema_of(tmp_path, version)["openapi"] == version


def test_keys_and_fields_are_lists_with_commas(tmp_path: Path) -> None:
    schema = schema_of(tmp_path)

    keys, fields = (parameters(schema, BARE)[name] for name in ("keys", "fields"))
    assert (keys["in"], keys["required"]) == ("query", True)
    assert keys["schema"] == {"type": "array", "items": {"type": "string"}, "maxItems": 7}
    assert (keys["style"], keys["explode"]) == (fields["style"], fields["explode"])
    assert (fields["style"], fields["explode"]) == ("form", False)
    assert fields["schema"]["items"]["enum"] == ["name"]
    assert "required" not in fields
    assert parameters(schema, MANY)["keys"]["schema"]["maxItems"] == 100


def test_the_names_of_the_references_are_told_where_the_path_has_one(tmp_path: Path) -> None:
    schema = schema_of(tmp_path)

    name = parameters(schema, MANY)["name"]
    assert (name["in"], name["required"]) == ("path", True)
    assert sorted(name["schema"]["enum"]) == ["account", "by-serial", "represented"]
    assert "name" not in parameters(schema, ONE)


def test_what_is_found_has_the_types_of_the_model(tmp_path: Path) -> None:
    schema = schema_of(tmp_path)

    represented = rows(schema, "RepresentedReference")
    shown = ("date", "flag", "uuid")
    assert [represented[name]["type"] for name in shown] == ["string", "boolean", "string"]
    assert represented["uuid"] == {"type": "string", "format": "uuid", "nullable": True}
    assert rows(schema, "AccountReference") == {
        "name": {"type": "string"},
        "firm__name": {"type": "string", "nullable": True},
    }


def test_only_what_is_exposed_is_described(tmp_path: Path) -> None:
    schemas = schema_of(tmp_path)["components"]["schemas"]

    assert list(schemas["BuyerReferenceName"]["properties"]) == ["name"]
    assert "BuyerReference" not in schemas


def test_an_answer_has_rows_by_key_and_lists_of_keys(tmp_path: Path) -> None:
    schema = schema_of(tmp_path)

    answer = schema["components"]["schemas"]["BySerialReferenceBatch"]
    found = answer["properties"]["found"]
    assert answer["required"] == ["absent", "failed", "found", "invalid", "stale"]
    assert found["additionalProperties"] == {"$ref": "#/components/schemas/BySerialReference"}
    assert answer["properties"]["absent"]["items"] == {"type": "string"}
    # A client that asks for fewer fields is given fewer.
    assert "required" not in schema["components"]["schemas"]["BySerialReference"]


def test_a_view_of_several_references_answers_with_one_of_theirs(tmp_path: Path) -> None:
    responses = schema_of(tmp_path)["paths"][MANY]["get"]["responses"]

    content = responses["200"]["content"]["application/json"]["schema"]
    assert content == {
        "oneOf": [
            {"$ref": f"#/components/schemas/{name}ReferenceBatch"}
            for name in ("Account", "Represented", "BySerial")
        ]
    }


def test_every_status_is_told(tmp_path: Path) -> None:
    schema = schema_of(tmp_path)["paths"]

    codes = ["200", "304", "400", "401", "403", "404", "503"]
    assert sorted(schema[MANY]["get"]["responses"]) == codes
    assert "401" not in schema[ONE]["get"]["responses"]
    assert {"ETag", "Cache-Control"} == set(schema[ONE]["get"]["responses"]["304"]["headers"])
    assert list(schema[ONE]) == ["get"]


def test_a_view_says_for_whom_it_is(tmp_path: Path) -> None:
    described = schema_of(tmp_path)["paths"][ONE]["get"]["description"]

    assert described == "Rows by key, for clients that join on their side."


def test_the_projects_own_schema_class_is_kept(tmp_path: Path, settings: Settings) -> None:
    settings.REST_FRAMEWORK = {
        **settings.REST_FRAMEWORK,
        "DEFAULT_SCHEMA_CLASS": f"{__name__}.Tagged",
    }

    schema = schema_of(tmp_path)["paths"][ONE]["get"]

    assert schema["tags"] == ["ours"]
    assert [each["name"] for each in schema["parameters"]] == ["fields", "keys"]


def test_what_a_view_says_itself_comes_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from drf_spectacular.utils import extend_schema  # noqa: PLC0415 - optional

    @extend_schema(summary="Ours", responses={200: str})
    def get(view: Described, request: Request, name: str) -> Response:
        return ReferenceView.get(view, request, name)

    monkeypatch.setattr(Described, "get", get)

    schema = schema_of(tmp_path)["paths"][ONE]["get"]

    assert (schema["summary"], list(schema["responses"])) == ("Ours", ["200"])
    assert "keys" in {each["name"] for each in schema["parameters"]}


def __getattr__(name: str) -> Any:
    if name != "Tagged":
        raise AttributeError(name)
    from drf_spectacular.openapi import AutoSchema  # noqa: PLC0415 - optional

    class Tagged(AutoSchema):
        def get_tags(self) -> list[str]:
            return ["ours"]

    return Tagged
