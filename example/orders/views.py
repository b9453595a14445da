"""The newest 100 orders, with the customers and devices found in a different way by each view."""

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from rest_framework.decorators import api_view
from rest_framework.generics import ListAPIView
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from customers.models import Customer, Device
from orders.models import OrderEvent
from orders.serializers import (
    ContextSerializer,
    NaiveSerializer,
    NestedSerializer,
    RefcacheSerializer,
)
from refcache.rest_framework import ReferenceContextMixin

PAGES = ("naive", "whole-table", "page-context", "refcache", "refcache-context", "nested")


@api_view()
def index(request: Request) -> Response:
    """The same 100 orders on each page; its header X-Cost says what the page took."""
    return Response({page: reverse(page, request=request) for page in PAGES})


class NewestFirst(CursorPagination):
    """Pages of 100; a cursor needs no COUNT query, so a page is one query to database A."""

    page_size = 100
    ordering = "-created_at"


class OrderEventView(ListAPIView):
    """What all views share: the page. A middleware adds the header that says what it cost."""

    queryset = OrderEvent.objects.all()
    pagination_class = NewestFirst


class NaiveView(OrderEventView):
    """Two queries to database B for each row."""

    serializer_class = NaiveSerializer


class WholeTableView(OrderEventView):
    """All customers and all devices, loaded into the context of every request."""

    serializer_class = ContextSerializer

    def get_serializer_context(self) -> dict[str, Any]:
        """Load both tables."""
        return super().get_serializer_context() | {
            "customer_context": Customer.objects.filter(is_active=True).in_bulk(),
            "device_context": Device.objects.in_bulk(),
        }


class KeptPageView(OrderEventView):
    """Keeps its page, because get_serializer_context() is not told about it."""

    page: Sequence[OrderEvent] = ()

    def paginate_queryset(
        self, queryset: QuerySet[OrderEvent] | Sequence[OrderEvent]
    ) -> Sequence[Any] | None:
        """Keep what is shown."""
        self.page = super().paginate_queryset(queryset) or ()
        return self.page


class PageContextView(KeptPageView):
    """The customers and devices of this page, loaded into the context of every request."""

    serializer_class = ContextSerializer

    def get_serializer_context(self) -> dict[str, Any]:
        """Load what the page needs."""
        customers = {event.customer_id for event in self.page}
        devices = {event.device_id for event in self.page}
        return super().get_serializer_context() | {
            "customer_context": Customer.objects.filter(is_active=True).in_bulk(customers),
            "device_context": Device.objects.in_bulk(devices),
        }


class RefcacheView(OrderEventView):
    """Reference fields: warm, one round trip to Redis and no query to database B."""

    serializer_class = RefcacheSerializer


class RefcacheContextView(ReferenceContextMixin, OrderEventView):
    """The serializer of the two context pages, unchanged; lazy mappings fill its context."""

    serializer_class = ContextSerializer
    reference_context = {
        "customer_context": ("customer", "customer_id"),
        "device_context": ("device", "device_id"),
    }


class NestedView(OrderEventView):
    """Orders with their lines and each line's device, gathered for the whole page at once."""

    queryset = OrderEvent.objects.prefetch_related("lines")
    serializer_class = NestedSerializer
