"""Orders, in the ways that the tests ask for them."""

from typing import Any

from django.urls import path
from rest_framework.pagination import CursorPagination, LimitOffsetPagination, PageNumberPagination
from rest_framework.permissions import AllowAny
from rest_framework.routers import SimpleRouter
from rest_framework.viewsets import ModelViewSet

from refcache.rest_framework import ReferenceContextMixin, ReferenceView
from tests.restapp.models import Order
from tests.restapp.serializers import (
    BuyerAndByHandSerializer,
    ByHandSerializer,
    ContextSerializer,
    DeepOrderSerializer,
    OrderSerializer,
)


class OrderViewSet(ModelViewSet[Order]):
    queryset = Order.objects.all()
    serializer_class: Any = OrderSerializer


class GatheringViewSet(ReferenceContextMixin, OrderViewSet):
    """The same, with the mixin."""


class DeepViewSet(GatheringViewSet):
    """Nothing is prefetched here."""

    serializer_class = DeepOrderSerializer


class ContextViewSet(GatheringViewSet):
    serializer_class = ContextSerializer
    reference_context = {"buyers": ("buyer", "buyer_id")}


class ByHandViewSet(GatheringViewSet):
    serializer_class = ByHandSerializer


class BuyerAndByHandViewSet(OrderViewSet):
    """Without the mixin."""

    serializer_class = BuyerAndByHandSerializer


class ByPage(PageNumberPagination):
    page_size = 100


class ByOffset(LimitOffsetPagination):
    default_limit = 100


class ByCursor(CursorPagination):
    page_size = 100
    ordering = "pk"


class PageViewSet(OrderViewSet):
    pagination_class = ByPage


class OffsetViewSet(OrderViewSet):
    pagination_class = ByOffset


class CursorViewSet(OrderViewSet):
    pagination_class = ByCursor


class References(ReferenceView):
    """Open to all."""

    permission_classes = [AllowAny]
    references = {
        "account": "__all__",
        "buyer": ["tier", "name"],
        "by-serial": ["serial"],
        "gadget": ["serial"],
        "range": ["span"],
        "represented": "__all__",
        "spot": ["label"],
    }


router = SimpleRouter()
for prefix, view in {
    "plain": OrderViewSet,
    "gathering": GatheringViewSet,
    "deep": DeepViewSet,
    "context": ContextViewSet,
    "by-hand": ByHandViewSet,
    "buyer-and-by-hand": BuyerAndByHandViewSet,
    "page": PageViewSet,
    "offset": OffsetViewSet,
    "cursor": CursorViewSet,
}.items():
    router.register(prefix, view, basename=prefix)

urlpatterns = [*router.urls, path("references/<str:name>/", References.as_view())]
