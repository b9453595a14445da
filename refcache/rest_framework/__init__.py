"""References in REST framework's serializers and views: a window on the read flow."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from refcache.rest_framework.fields import ReferenceField
from refcache.rest_framework.unavailable import exception_handler
from refcache.rest_framework.views import ReferenceContextMixin

if TYPE_CHECKING:
    from refcache.rest_framework.endpoint import ReferenceView

__all__ = ["ReferenceContextMixin", "ReferenceField", "ReferenceView", "exception_handler"]


def __getattr__(name: str) -> Any:
    # Handed on when it is asked for: it is made from a class of REST framework's that loads the
    # classes which the project's settings name, and these may need a ReferenceField.
    if name != "ReferenceView":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module("refcache.rest_framework.endpoint").ReferenceView
