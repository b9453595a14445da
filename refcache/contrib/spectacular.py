"""drf-spectacular: a field's type, a view's headers, a batch endpoint in the OpenAPI schema."""

from typing import Any

from drf_spectacular.drainage import isolate_view_method
from drf_spectacular.extensions import OpenApiSerializerFieldExtension, OpenApiViewExtension
from drf_spectacular.plumbing import build_object_type
from drf_spectacular.utils import OpenApiParameter, extend_schema

from refcache.contrib.spectacular_types import nullable

CODES = [200, 201]  # what REST framework's own views answer where they show a row
# Spelled out: this is imported while apps get ready, and to import reporting.py loads the classes
# that the project's REST_FRAMEWORK names.
HEADERS = (
    OpenApiParameter(
        "Age",
        int,
        OpenApiParameter.HEADER,
        response=CODES,
        description="For how many seconds the oldest of the referenced rows was cached.",
    ),
    OpenApiParameter(
        "Refcache-Stale",
        str,
        OpenApiParameter.HEADER,
        response=CODES,
        description="References whose rows may be out of date, or could not be read (RFC 9651).",
    ),
)


class ReferenceFieldExtension(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]  # theirs
    """The type of the model's field; an object of all declared fields for a whole snapshot."""

    target_class = "refcache.rest_framework.fields.ReferenceField"

    def map_serializer_field(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        plan = self.target.plan
        of_model = auto_schema._map_model_field  # noqa: SLF001 - as their own extensions do
        properties = {
            name: nullable(of_model(column, direction))
            for name, column in zip(plan.declaration.fields, plan.columns, strict=True)
        }
        if self.target.field is not None:
            return properties[self.target.field]
        return nullable(build_object_type(properties))


class ReportingViewExtension(OpenApiViewExtension):  # type: ignore[no-untyped-call]  # as above
    """The headers of views with `reports_staleness`."""

    target_class = "refcache.rest_framework.views.ReferenceContextMixin"
    match_subclasses = True

    def view_replacement(self) -> Any:
        if not self.target.reports_staleness:
            return self.target
        # A class of its own: the schema is put on the class.
        view = type(self.target.__name__, (self.target,), {"__module__": self.target.__module__})
        return extend_schema(parameters=list(HEADERS))(view)


class ReferenceViewExtension(OpenApiViewExtension):  # type: ignore[no-untyped-call]  # as above
    """A batch endpoint's parameters, and the types of what it exposes."""

    target_class = "refcache.rest_framework.endpoint.ReferenceView"
    match_subclasses = True

    def view_replacement(self) -> Any:
        # Late, as the project's schema class may be loaded by it; see HEADERS.
        from refcache.contrib.endpoint_schema import EndpointSchema  # noqa: PLC0415

        project = type(self.target.schema)
        # What an @extend_schema of the view's own has made, which it may be without.
        own = getattr(self.target.get, "kwargs", {}).get("schema") or project
        ahead = [each for each in own.__mro__ if each not in project.__mro__]
        schema = type(EndpointSchema.__name__, (*ahead, EndpointSchema, project), {})
        view = type(self.target.__name__, (self.target,), {"__module__": self.target.__module__})
        method = isolate_view_method(view, "get")  # type: ignore[no-untyped-call]  # as above
        method.kwargs = {**getattr(method, "kwargs", {}), "schema": schema}
        return view
