"""Orders, filtered by fields of their buyers with django-filter."""

from typing import Any

from django.urls import path
from django_filters import FilterSet, MultipleChoiceFilter
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.generics import ListAPIView
from rest_framework.pagination import PageNumberPagination

from refcache.contrib.django_filter import ReferenceFilter, ReferenceFilterMixin
from tests.restapp.models import Buyer, Order
from tests.restapp.serializers import OrderSerializer


class TiersFilter(ReferenceFilterMixin, MultipleChoiceFilter):  # type: ignore[misc]  # django-filter is not typed
    """Several tiers at once."""


class OrderFilters(FilterSet):  # type: ignore[misc]  # as above
    tier = ReferenceFilter("listed", key="buyer_id", where="tier")
    not_tier = ReferenceFilter("listed", key="buyer_id", where="tier", exclude=True)
    firm = ReferenceFilter("listed", key="buyer_id", where="firm__name__icontains")
    tiers = TiersFilter(
        "listed", key="buyer_id", where="tier__in", choices=[*Buyer.Tier.choices, ("none", "none")]
    )

    class Meta:
        model = Order
        fields = ["id"]


class ByTen(PageNumberPagination):
    page_size = 10


class FilteredView(ListAPIView[Order]):
    queryset = Order.objects.order_by("pk")
    serializer_class: Any = OrderSerializer
    pagination_class = ByTen
    filter_backends = [DjangoFilterBackend]
    filterset_class = OrderFilters


urlpatterns = [path("filtered/", FilteredView.as_view())]
