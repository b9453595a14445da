"""One order with its customer's name and tier, found as each pattern finds them."""

from typing import Any

from django.conf import settings
from rest_framework import serializers

from customers.models import Customer
from orders.models import OrderEvent
from patterns.models import DenormalisedOrder, ForeignJoinedOrder, ViewJoinedOrder
from refcache.rest_framework import ReferenceField

OWN = ["id", "amount", "customer_id"]
SHOWN = [*OWN, "customer_name", "customer_tier"]


class PlainSerializer(serializers.ModelSerializer):
    """The order alone: the front end looks its customer up."""

    class Meta:
        model = OrderEvent
        fields = OWN


class NaiveSerializer(serializers.ModelSerializer):
    """One query for each field of each row."""

    customer_name = serializers.SerializerMethodField()
    customer_tier = serializers.SerializerMethodField()

    class Meta:
        model = OrderEvent
        fields = SHOWN

    def get_customer_name(self, order: OrderEvent) -> str | None:
        """Ask database B."""
        return Customer.objects.filter(pk=order.customer_id).values_list("name", flat=True).first()

    def get_customer_tier(self, order: OrderEvent) -> str | None:
        """Ask database B once more."""
        return Customer.objects.filter(pk=order.customer_id).values_list("tier", flat=True).first()


class ContextSerializer(NaiveSerializer):
    """From `customer_context`, a mapping of customers by id that the view has to put there.

    An id that is not in it gives None: whoever reads the page cannot tell why.
    """

    def customer_of(self, order: OrderEvent) -> Any:
        """Give what has a name and a tier, or None."""
        return self.context["customer_context"].get(order.customer_id)

    def get_customer_name(self, order: OrderEvent) -> str | None:
        """Read it from the context."""
        customer = self.customer_of(order)
        return customer.name if customer else None

    def get_customer_tier(self, order: OrderEvent) -> str | None:
        """Read it from the context."""
        customer = self.customer_of(order)
        return customer.tier if customer else None


class DegradingSerializer(ContextSerializer):
    """Goes on without a customer, and names the id that it has not found."""

    def get_customer_name(self, order: OrderEvent) -> str | None:
        """Read it from the context, or say that it is not there."""
        customer = self.customer_of(order)
        return customer.name if customer else f"Unknown Customer (ID: {order.customer_id})"


class LoudSerializer(DegradingSerializer):
    """Degrades in production; in DEBUG it fails where the context was forgotten or is too small."""

    def customer_of(self, order: OrderEvent) -> Any:
        """Give what has a name and a tier, or None.

        Raises:
            LookupError: In DEBUG, where the context does not have it.
        """
        customer = self.context.get("customer_context", {}).get(order.customer_id)
        if customer is None and settings.DEBUG:
            raise LookupError(
                f"Customer {order.customer_id} is not in customer_context: load it in "
                "get_serializer_context() of the view."
            )
        return customer


class AgreementSerializer(serializers.ModelSerializer):
    """By a composite key: the context's keys are tuples of customer and device."""

    discount = serializers.SerializerMethodField()

    class Meta:
        model = OrderEvent
        fields = [*OWN, "device_id", "discount"]

    def get_discount(self, order: OrderEvent) -> int | None:
        """Read it from the context."""
        return self.context["agreement_context"].get((order.customer_id, order.device_id))


class ReferenceAgreementSerializer(AgreementSerializer):
    """The same by refcache; the declaration has the composite key."""

    discount = ReferenceField("agreement", key=("customer_id", "device_id"), field="discount")


class ReferenceFieldSerializer(serializers.ModelSerializer):
    """refcache's fields: the declaration says what a missing customer gives."""

    customer_name = ReferenceField("customer", key="customer_id", field="name")
    customer_tier = ReferenceField("customer", key="customer_id", field="tier")

    class Meta:
        model = OrderEvent
        fields = SHOWN


class DenormalisedSerializer(serializers.ModelSerializer):
    """All columns are the order's own."""

    class Meta:
        model = DenormalisedOrder
        fields = SHOWN


class ForeignJoinSerializer(serializers.ModelSerializer):
    """Joined by the database."""

    customer_name = serializers.CharField(source="customer.name", default=None)
    customer_tier = serializers.CharField(source="customer.tier", default=None)

    class Meta:
        model = ForeignJoinedOrder
        fields = SHOWN


class MaterialisedViewSerializer(ForeignJoinSerializer):
    """As above, to the view."""

    class Meta(ForeignJoinSerializer.Meta):
        model = ViewJoinedOrder


class DescriptorSerializer(ForeignJoinSerializer):
    """As if it were a foreign key."""

    class Meta(ForeignJoinSerializer.Meta):
        model = OrderEvent
