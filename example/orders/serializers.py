"""One row of the page, with its customer and device from the other database."""

from typing import Any

from rest_framework import serializers

from customers.models import Customer, Device
from orders.models import OrderEvent, OrderLine
from refcache.rest_framework import ReferenceField


class OrderEventSerializer(serializers.ModelSerializer):
    """The event alone: plain ids, nothing looked up."""

    class Meta:
        model = OrderEvent
        fields = ["id", "kind", "amount", "created_at", "customer_id", "device_id"]


class RefcacheSerializer(OrderEventSerializer):
    """With refcache: three declared fields."""

    customer_name = ReferenceField("customer", key="customer_id", field="name")
    customer = ReferenceField("customer", key="customer_id")
    device = ReferenceField("device", key="device_id")

    class Meta(OrderEventSerializer.Meta):
        fields = [*OrderEventSerializer.Meta.fields, "customer_name", "customer", "device"]


class ContextSerializer(OrderEventSerializer):
    """By hand: from the mappings that the view put into the context."""

    def customer_of(self, event: OrderEvent) -> Customer | None:
        """Give the active customer of *event*."""
        return self.context["customer_context"].get(event.customer_id)

    def device_of(self, event: OrderEvent) -> Device | None:
        """Give the device of *event*."""
        return self.context["device_context"].get(event.device_id)

    def to_representation(self, event: OrderEvent) -> dict[str, Any]:
        """Answer exactly as `RefcacheSerializer` does."""
        customer = describe_customer(self.customer_of(event), event.customer_id)
        return {
            **super().to_representation(event),
            "customer_name": customer["name"],
            "customer": customer,
            "device": describe_device(self.device_of(event)),
        }


class NaiveSerializer(ContextSerializer):
    """By hand: one query for each customer and one for each device."""

    def customer_of(self, event: OrderEvent) -> Customer | None:
        """Ask database B."""
        return Customer.objects.filter(pk=event.customer_id, is_active=True).first()

    def device_of(self, event: OrderEvent) -> Device | None:
        """Ask database B."""
        return Device.objects.filter(pk=event.device_id).first()


def describe_customer(customer: Customer | None, key: int) -> dict[str, str | None]:
    """Give name and tier of *customer*, or what stands in for the unknown one of id *key*."""
    if not customer:
        return {"name": f"Unknown Customer (ID: {key})", "tier": None}
    return {"name": customer.name, "tier": customer.tier}


def describe_device(device: Device | None) -> dict[str, str] | None:
    """Give serial and label of *device*."""
    return {"serial": device.serial, "label": device.label} if device else None


class OrderLineSerializer(serializers.ModelSerializer):
    """One line of an order, with its own device."""

    device = ReferenceField("device", key="device_id")

    class Meta:
        model = OrderLine
        fields = ["id", "quantity", "device"]


class NestedSerializer(OrderEventSerializer):
    """With refcache: a relation of the customer, and nested rows with references of their own."""

    customer_name = ReferenceField("account", key="customer_id", field="name")
    company_name = ReferenceField("account", key="customer_id", field="company__name")
    lines = OrderLineSerializer(many=True)

    class Meta(OrderEventSerializer.Meta):
        fields = [*OrderEventSerializer.Meta.fields, "customer_name", "company_name", "lines"]
