"""References in REST framework's serializers and views: a window on the read flow."""

from refcache.rest_framework.fields import ReferenceField
from refcache.rest_framework.unavailable import exception_handler
from refcache.rest_framework.views import ReferenceContextMixin

__all__ = ["ReferenceContextMixin", "ReferenceField", "exception_handler"]
