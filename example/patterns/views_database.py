"""Alternatives in the databases: filters before pagination, copied columns, joins."""

from typing import Any

from django.db.models import QuerySet
from rest_framework.generics import RetrieveUpdateAPIView
from rest_framework.pagination import PageNumberPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import ModelSerializer

from customers.models import Customer
from orders.models import OrderEvent
from orders.views import OrderEventView
from patterns.models import DenormalisedOrder, ForeignJoinedOrder, ViewJoinedOrder
from patterns.serializers import (
    DenormalisedSerializer,
    ForeignJoinSerializer,
    MaterialisedViewSerializer,
)
from patterns.views_context import PageKeysView


class NumberedPages(PageNumberPagination):
    """Pages of 100 that say how many orders there are."""

    page_size = 100


class FilterAfterView(PageKeysView):
    """`?tier=gold`, asked of the rows that are already on the page: its counts are wrong."""

    queryset = OrderEvent.objects.order_by("-created_at")
    pagination_class = NumberedPages

    def list(self, request: Request, *args: object, **kwargs: object) -> Response:
        """Drop rows from a page that was cut without a look at them."""
        response = super().list(request, *args, **kwargs)
        tier = request.query_params.get("tier", "gold")
        rows = response.data["results"]
        response.data["results"] = [row for row in rows if row["customer_tier"] == tier]
        return response


class DenormalisedView(OrderEventView):
    """Copies of the customer's columns, which `patterns.copies` keeps in step."""

    queryset = DenormalisedOrder.objects.all()
    serializer_class = DenormalisedSerializer


class ForeignJoinView(OrderEventView):
    """Database A asks database B, in the middle of its own query."""

    queryset = ForeignJoinedOrder.objects.select_related("customer")
    serializer_class = ForeignJoinSerializer


class MaterialisedViewView(OrderEventView):
    """Database A has copied all customers, and joins them itself."""

    queryset = ViewJoinedOrder.objects.select_related("customer")
    serializer_class = MaterialisedViewSerializer


class CustomerSerializer(ModelSerializer):
    """What can be changed, to see which pages show it."""

    class Meta:
        model = Customer
        fields = ["id", "name", "tier", "is_active"]


class CustomerView(RetrieveUpdateAPIView):
    """One customer: `PATCH` it, and look at the pages."""

    queryset: QuerySet[Any] = Customer.objects.all()
    serializer_class = CustomerSerializer
