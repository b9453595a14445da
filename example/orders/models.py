"""Database A: the stream of orders."""

from django.db import models

from refcache import ReferenceTo


class OrderEvent(models.Model):
    """Something that happened to an order.

    Customer and device are rows of another database, so they cannot be foreign keys; refcache's
    relation stands in for one.
    """

    class Kind(models.TextChoices):
        """What happened."""

        PLACED = "placed"
        PAID = "paid"
        SHIPPED = "shipped"
        RETURNED = "returned"

    kind = models.CharField(max_length=10, choices=Kind)
    customer_id = models.BigIntegerField()
    device_id = models.BigIntegerField()
    customer = ReferenceTo("customer", key="customer_id")
    amount = models.DecimalField(max_digits=10, decimal_places=2)
    created_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["-created_at"], name="newest_first")]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"


class OrderLine(models.Model):
    """One device of an order."""

    event = models.ForeignKey(OrderEvent, on_delete=models.CASCADE, related_name="lines")
    device_id = models.BigIntegerField()
    quantity = models.PositiveIntegerField()

    def __str__(self) -> str:
        return f"{self.quantity} of device {self.device_id}"
