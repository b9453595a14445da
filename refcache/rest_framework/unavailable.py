"""What clients are told where a reference could neither be read nor replaced."""

from collections.abc import Mapping
from typing import Any

from rest_framework import status, views
from rest_framework.exceptions import APIException
from rest_framework.response import Response

from refcache.core.exceptions import ReferenceUnavailable

# Seconds. Nobody knows how long a database will be away; this keeps clients from asking at once.
RETRY_AFTER = 5


class Unavailable(APIException):
    """503: a reference cannot be answered. It does not say which: clients cannot use that."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = "What this refers to cannot be read at present. Try again later."
    default_code = "reference_unavailable"
    wait = RETRY_AFTER  # REST framework makes the header Retry-After of it.


def exception_handler(exc: Exception, context: Mapping[str, Any]) -> Response | None:
    """REST framework's own, but for `ReferenceUnavailable`, which becomes a 503 with Retry-After.

    To be named in `REST_FRAMEWORK["EXCEPTION_HANDLER"]`, or called by the project's own.
    """
    if isinstance(exc, ReferenceUnavailable):
        exc = Unavailable()
    return views.exception_handler(exc, dict(context))
