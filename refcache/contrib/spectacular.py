"""drf-spectacular: what type a ReferenceField has in the OpenAPI schema."""

from typing import Any

from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.plumbing import build_object_type

from refcache.registry import references


class ReferenceFieldExtension(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]  # theirs
    """The type of the model's field; an object of all declared fields for a whole snapshot."""

    target_class = "refcache.rest_framework.fields.ReferenceField"

    def map_serializer_field(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        plan = references.plan(self.target.reference)
        properties = {
            name: {**auto_schema._map_model_field(column, direction), "nullable": True}  # noqa: SLF001 - as their own extensions do
            for name, column in zip(plan.declaration.fields, plan.columns, strict=True)
        }
        if self.target.field is not None:
            return properties[self.target.field]
        return build_object_type(properties) | {"nullable": True}
