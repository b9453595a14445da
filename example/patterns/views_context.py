"""The article's patterns: customers in the serializer's context, loaded in different ways."""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from django.core.cache import cache

from customers.models import Agreement, Customer
from orders.views import KeptPageView, OrderEventView
from patterns.serializers import (
    AgreementSerializer,
    ContextSerializer,
    DegradingSerializer,
    LoudSerializer,
    NaiveSerializer,
)

BLOB = "customer-blob"
BLOB_TTL = 60  # seconds


class Brief(NamedTuple):
    """The needed fields of a customer."""

    name: str
    tier: str


class NaiveView(OrderEventView):
    """201 queries for 100 orders."""

    serializer_class = NaiveSerializer


class ContextView(KeptPageView):
    """Puts into the context what `customers` gives for the page."""

    serializer_class = ContextSerializer

    def get_serializer_context(self) -> dict[str, Any]:
        """Load once for the whole page."""
        keys = {order.customer_id for order in self.page}
        return super().get_serializer_context() | {"customer_context": self.customers(keys)}

    def customers(self, keys: Collection[int]) -> Mapping[int, Any]:
        """Give customers by id: those of the page."""
        return Customer.objects.in_bulk(keys)


class WholeTableView(ContextView):
    """All customers, for each request."""

    def customers(self, _: Collection[int]) -> Mapping[int, Any]:
        """Give all of them."""
        return Customer.objects.in_bulk()


class ActiveOnlyView(ContextView):
    """The customers that are active, for each request."""

    def customers(self, _: Collection[int]) -> Mapping[int, Any]:
        """Give the active ones."""
        return Customer.objects.filter(is_active=True).in_bulk()


class PageKeysView(ContextView):
    """The customers of this page."""


class NeededFieldsView(ContextView):
    """The customers of this page, and of them two columns."""

    def customers(self, keys: Collection[int]) -> Mapping[int, Any]:
        """Give tuples in the place of instances."""
        rows = Customer.objects.filter(pk__in=keys).values_list("pk", "name", "tier")
        return {pk: Brief(*fields) for pk, *fields in rows}


class DegradationView(ContextView):
    """The active customers of this page; the others are unknown."""

    serializer_class = DegradingSerializer

    def customers(self, keys: Collection[int]) -> Mapping[int, Any]:
        """Give the active ones."""
        return Customer.objects.filter(is_active=True).in_bulk(keys)


class LoudFailureView(DegradationView):
    """The same, for whoever wants to hear of it while they write code."""

    serializer_class = LoudSerializer


class CachedBlobView(ContextView):
    """All customers in one value in Redis; a write is seen when its TTL is over."""

    def customers(self, _: Collection[int]) -> Mapping[int, Any]:
        """Give what was loaded at most `BLOB_TTL` seconds ago."""
        return cache.get_or_set(BLOB, load_blob, BLOB_TTL)


def load_blob() -> dict[int, Brief]:
    """Give the needed fields of all customers."""
    rows = Customer.objects.values_list("pk", "name", "tier")
    return {pk: Brief(*fields) for pk, *fields in rows.iterator()}


class CompositeKeysView(ContextView):
    """Agreements by customer and device: neither of them alone is a key."""

    serializer_class = AgreementSerializer

    def get_serializer_context(self) -> dict[str, Any]:
        """Load more than the pairs of the page: those of its customers with its devices."""
        rows = Agreement.objects.filter(
            customer__in={order.customer_id for order in self.page},
            device__in={order.device_id for order in self.page},
        ).values_list("customer_id", "device_id", "discount")
        found = {(customer, device): discount for customer, device, discount in rows}
        context = OrderEventView.get_serializer_context(self)
        return context | {"agreement_context": found}
