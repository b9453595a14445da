"""What a view adds: one page for all its serializers, and context mappings for their code."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from django.db.models import Manager
from rest_framework.permissions import SAFE_METHODS
from rest_framework.serializers import ListSerializer

from refcache.rest_framework.pages import CONTEXT_NAME, ContextMapping, Page
from refcache.rest_framework.reporting import Report

if TYPE_CHECKING:
    from rest_framework.generics import GenericAPIView
    from rest_framework.response import Response
    from rest_framework.serializers import BaseSerializer

    Base = GenericAPIView[Any]
else:
    Base = object


class ReferenceContextMixin(Base):
    """For views: gathers the references of everything that `get_serializer()` is given.

    Relations that nested serializers show, and that nobody has loaded, are loaded in one query
    each. `reference_context` adds lazy mappings to the serializers' context, by name: the
    reference and the attribute of the rows that holds its key.

        reference_context = {"customer_context": ("customer", "customer_id")}

    With `reports_staleness = True` responses tell in the header `Age` how many seconds ago the
    oldest answer was loaded, and in `Refcache-Stale` which are stale, or could not be read.
    """

    reference_context: ClassVar[Mapping[str, tuple[str, Any]]] = {}
    reports_staleness: ClassVar[bool] = False

    def get_serializer(self, *args: Any, **kwargs: Any) -> "BaseSerializer[Any]":
        serializer = super().get_serializer(*args, **kwargs)
        if not self._only_reads:
            self._reference_page.forget()
        if isinstance(serializer, ListSerializer):
            serializer.instance = _repeatable(serializer.instance)
        self._reference_page.watch(serializer)
        return serializer

    def get_serializer_context(self) -> dict[str, Any]:
        mappings = {
            name: ContextMapping(self._reference_page, reference, name=name)
            for name, (reference, _) in self.reference_context.items()
        }
        return {**super().get_serializer_context(), **mappings, CONTEXT_NAME: self._reference_page}

    def finalize_response(
        self, request: Any, response: Any, *args: Any, **kwargs: Any
    ) -> "Response":
        final = super().finalize_response(request, response, *args, **kwargs)
        if self._reference_report is not None and not getattr(response, "exception", False):
            for name, value in self._reference_report.headers().items():
                final.headers.setdefault(name, value)
        return final

    @cached_property
    def _only_reads(self) -> bool:
        """As the request came: the browsable API pretends other methods to show their forms."""
        return getattr(self.request, "method", None) in SAFE_METHODS  # A schema has no request.

    @cached_property
    def _reference_page(self) -> Page:
        """This request's: REST framework makes a view for each."""
        return Page(prefetch=True, contexts=self.reference_context, report=self._reference_report)

    @cached_property
    def _reference_report(self) -> Report | None:
        return Report() if self.reports_staleness else None


def _repeatable(rows: Any) -> Any:
    """Rows that can be looked at before they are shown, without a second query."""
    if isinstance(rows, Manager):
        return rows.all()
    return list(rows) if isinstance(rows, Iterator) else rows
