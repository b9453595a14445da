"""One page of 100 orders with their customers and devices."""

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from rest_framework.exceptions import ParseError
from rest_framework.generics import ListAPIView

from orders.models import OrderEvent
from orders.serializers import OrderEventSerializer
from refcache.rest_framework import ReferenceField

PAGE = 100


class ListedSerializer(OrderEventSerializer):
    """With the references of `real.apps`."""

    customer = ReferenceField("listed-customer", key="customer_id")
    device = ReferenceField("listed-device", key="device_id")

    class Meta(OrderEventSerializer.Meta):
        fields = [*OrderEventSerializer.Meta.fields, "customer", "device"]


class OrderPage(ListAPIView):
    """The 100 orders after the one that `?after=` names: one query to A."""

    serializer_class = ListedSerializer

    def get_queryset(self) -> QuerySet[OrderEvent]:
        """Order by the primary key, which has an index."""
        after = self.request.query_params.get("after", "0")
        if not after.isdecimal():
            raise ParseError(f"after={after!r}: give the id of an order.")
        return OrderEvent.objects.filter(pk__gt=int(after)).order_by("pk")[:PAGE]


def health(_: HttpRequest) -> HttpResponse:
    """Say that this process serves; it asks no server."""
    return HttpResponse("ok", content_type="text/plain")
