"""refcache's own ways to the same page."""

from typing import Any

from django.db.models import QuerySet
from rest_framework.permissions import AllowAny

from orders.models import OrderEvent
from orders.views import OrderEventView
from patterns.serializers import (
    ContextSerializer,
    DescriptorSerializer,
    PlainSerializer,
    ReferenceAgreementSerializer,
    ReferenceFieldSerializer,
)
from patterns.views_database import NumberedPages
from refcache import references
from refcache.rest_framework import ReferenceContextMixin, ReferenceView


class ReferenceFieldView(OrderEventView):
    """Fields that are declared; the view does not know about it."""

    serializer_class = ReferenceFieldSerializer


class ReferenceContextView(ReferenceContextMixin, OrderEventView):
    """The article's serializer, unchanged; a lazy mapping fills its context."""

    serializer_class = ContextSerializer
    reference_context = {"customer_context": ("customer", "customer_id")}


class ReferenceAgreementView(OrderEventView):
    """A composite key."""

    serializer_class = ReferenceAgreementSerializer


class DescriptorView(OrderEventView):
    """A relation of the model, prefetched: any serializer, template or JsonResponse reads it."""

    queryset = OrderEvent.objects.prefetch_related("customer")
    serializer_class = DescriptorSerializer


class KeysWhereView(OrderEventView):
    """`?tier=gold`, asked of database A before the page is cut: its counts are right."""

    pagination_class = NumberedPages
    serializer_class = ReferenceFieldSerializer

    def get_queryset(self) -> QuerySet[Any]:
        """Give the orders of the customers of that tier."""
        tier = self.request.query_params.get("tier", "gold")
        keys = references["customer"].keys_where(tier=tier)
        return OrderEvent.objects.filter(customer_id__in=keys).order_by("-created_at")


class PlainIdsView(OrderEventView):
    """The first half of a join in the front end, which then asks the batch endpoint."""

    serializer_class = PlainSerializer


class BatchView(ReferenceView):
    """The second half: rows by key, for anybody."""

    references = {"customer": ["name", "tier"]}
    permission_classes = [AllowAny]
