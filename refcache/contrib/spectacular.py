"""drf-spectacular: what type a ReferenceField has in the OpenAPI schema."""

from typing import Any

from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.plumbing import append_meta, build_object_type


class ReferenceFieldExtension(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]  # theirs
    """The type of the model's field; an object of all declared fields for a whole snapshot."""

    target_class = "refcache.rest_framework.fields.ReferenceField"

    def map_serializer_field(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        plan = self.target.plan
        of_model = auto_schema._map_model_field  # noqa: SLF001 - as their own extensions do
        properties = {
            name: _nullable(of_model(column, direction))
            for name, column in zip(plan.declaration.fields, plan.columns, strict=True)
        }
        if self.target.field is not None:
            return properties[self.target.field]
        return _nullable(build_object_type(properties))


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    """A missing row has no values; from OpenAPI 3.1 on, null is a type among others."""
    is_nullable = "null" in schema.get("type", ()) or {"type": "null"} in schema.get("oneOf", ())
    return schema if is_nullable else append_meta(schema, {"nullable": True})
