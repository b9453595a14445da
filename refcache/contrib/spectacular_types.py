"""What fields and batch endpoints have in common in the OpenAPI schema."""

from typing import Any

from drf_spectacular.plumbing import append_meta


def nullable(schema: dict[str, Any]) -> dict[str, Any]:
    """The same, or null: a missing row has no values."""
    # From OpenAPI 3.1 on, null is a type among others.
    is_nullable = "null" in schema.get("type", ()) or {"type": "null"} in schema.get("oneOf", ())
    return schema if is_nullable else append_meta(schema, {"nullable": True})
