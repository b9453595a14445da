"""What drf-spectacular tells of a batch endpoint; loaded when a schema is made."""

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework.serializers import CharField, DictField, Field, ListField, Serializer

from refcache.contrib.spectacular_types import nullable
from refcache.registry import references

if TYPE_CHECKING:
    from drf_spectacular.openapi import AutoSchema as Base
else:
    Base = object

HEADERS = {
    "ETag": "Changes with any value; to be sent as If-None-Match.",
    "Cache-Control": "For how long the answer may be kept (RFC 9111, RFC 5861).",
}
KEYS = (
    "With commas between them; or a JSON list, for keys with commas and for keys of several "
    "columns, which are lists."
)


class EndpointSchema(Base):
    """A mixin for the project's own schema class."""

    def get_override_parameters(self) -> Any:
        view: Any = self.view
        fields = {field: None for name in view.references for field in view.exposed(name)}
        keys = {"type": "array", "items": {"type": "string"}, "maxItems": view.max_keys}
        choices = {"type": "array", "items": {"type": "string", "enum": list(fields)}}
        parameters = [
            _listed("keys", keys, KEYS, required=True),
            _listed("fields", choices, "Which fields to show; by default all."),
        ]
        if "{name}" in self.path:
            known = list(view.references)
            parameters.append(OpenApiParameter("name", str, OpenApiParameter.PATH, enum=known))
        parameters += [
            OpenApiParameter(
                name, str, OpenApiParameter.HEADER, description=said, response=[200, 304]
            )
            for name, said in HEADERS.items()
        ]
        return parameters

    def get_response_serializers(self) -> Any:
        view: Any = self.view
        answers = [answer_type(name, tuple(view.exposed(name))) for name in view.references]
        refs = [self.resolve_serializer(answer, "response").ref for answer in answers]
        said = {
            200: OpenApiResponse(refs[0] if len(refs) == 1 else {"oneOf": refs}),
            304: OpenApiResponse(description="The client has it already, by If-None-Match."),
            400: OpenApiResponse(description="Of keys: none, too many, or no list; or no field."),
            401: OpenApiResponse(description="Nobody is logged in."),
            403: OpenApiResponse(description="Not permitted."),
            404: OpenApiResponse(description="Not a reference that can be read here."),
            503: OpenApiResponse(description="Rows cannot be read at present; see Retry-After."),
        }
        if not view.get_authenticators():
            del said[401]
        return said


class RowField(Field[Any, Any, Any, Any]):
    """A declared field of a reference, as it is shown of a row that is there."""

    def __init__(self, reference: str, field: str) -> None:
        # Not required: the client may have asked for others.
        super().__init__(required=False)
        self.reference, self.field = reference, field


class RowFieldExtension(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]  # theirs
    """The type of the model's field."""

    target_class = RowField

    def map_serializer_field(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        plan = references.plan(self.target.reference)
        columns = dict(zip(plan.declaration.fields, plan.columns, strict=True))
        schema: dict[str, Any] = auto_schema._map_model_field(  # noqa: SLF001 - as their own do
            columns[self.target.field], direction
        )
        # There may be no row that it spans.
        return nullable(schema) if "__" in self.target.field else schema


@cache  # One class for each name: drf-spectacular warns of different ones.
def answer_type(reference: str, fields: tuple[str, ...]) -> type[Serializer[Any]]:
    """What a batch endpoint answers that exposes these fields."""
    is_whole = fields == references.plan(reference).declaration.fields
    title = _title(reference) + "Reference" + ("" if is_whole else _title("_".join(fields)))
    row = type(title, (Serializer,), {name: RowField(reference, name) for name in fields})
    shown = {
        "found": DictField(child=row(), help_text="By the keys, as they were asked for."),
        "absent": ListField(child=CharField(), help_text="There are no such rows."),
        "invalid": DictField(child=CharField(), help_text="They cannot be keys, and why."),
        "failed": ListField(child=CharField(), help_text="Nobody could read the rows."),
        "stale": ListField(child=CharField(), help_text="Found or absent, and may be outdated."),
    }
    return type(f"{title}Batch", (Serializer,), shown)


def _listed(
    name: str, schema: dict[str, Any], said: str, *, required: bool = False
) -> OpenApiParameter:
    return OpenApiParameter(
        name, schema, description=said, required=required, style="form", explode=False
    )


def _title(name: str) -> str:
    return "".join(part.capitalize() for part in re.split("[^a-z0-9]+", name))
