"""A view for the OpenAPI schema, and its URLs."""

from django.urls import path
from rest_framework import generics, serializers

from refcache.rest_framework import ReferenceContextMixin, ReferenceField
from tests.restapp.models import Order
from tests.restapp.serializers import DeepOrderSerializer


class DescribedSerializer(serializers.ModelSerializer[Order]):
    name = ReferenceField("buyer", key="buyer_id", field="name")
    tier = ReferenceField("buyer", key="buyer_id", field="tier")
    buyer = ReferenceField("buyer", key="buyer_id", help_text="Who buys.")
    firm = ReferenceField("account", key="buyer_id", field="firm__name")
    account = ReferenceField("account", key="buyer_id")
    represented = ReferenceField("represented", key="represented_id")

    class Meta:
        model = Order
        fields = ["id", "buyer_id", "name", "tier", "buyer", "firm", "account", "represented"]


class DescribedView(generics.ListCreateAPIView[Order]):
    queryset = Order.objects.all()
    serializer_class = DescribedSerializer


class GatheringView(ReferenceContextMixin, generics.RetrieveUpdateAPIView[Order]):
    queryset = Order.objects.all()
    serializer_class = DeepOrderSerializer


urlpatterns = [
    path("orders/", DescribedView.as_view()),
    path("orders/<int:pk>/", GatheringView.as_view()),
]
