"""Database A, with customers beside the orders: copied columns, a foreign table, a view."""

from django.db import models


class DenormalisedOrder(models.Model):
    """An order that carries a copy of its customer's columns."""

    customer_id = models.BigIntegerField(db_index=True)
    customer_name = models.CharField(max_length=100, null=True)  # noqa: DJ001 - there is none
    customer_tier = models.CharField(max_length=10, null=True)  # noqa: DJ001 - as above
    amount = models.DecimalField(max_digits=10, decimal_places=2)
    created_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.pk} of {self.customer_name}"


class _CustomerInA(models.Model):
    name = models.CharField(max_length=100)
    tier = models.CharField(max_length=10)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.name


class ForeignCustomer(_CustomerInA):
    """The rows themselves: PostgreSQL asks database B for them."""

    class Meta:
        managed = False


class ViewedCustomer(_CustomerInA):
    """The rows as they were when the materialised view was refreshed."""

    class Meta:
        managed = False


class _OrderInA(models.Model):
    amount = models.DecimalField(max_digits=10, decimal_places=2)
    created_at = models.DateTimeField()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return str(self.pk)


class ForeignJoinedOrder(_OrderInA):
    """The table of `OrderEvent`, with a relation that the database can join."""

    # Nullable for a LEFT JOIN: an order stays on the page when its customer is gone.
    customer = models.ForeignKey(ForeignCustomer, models.DO_NOTHING, null=True)

    class Meta:
        managed = False
        db_table = "orders_orderevent"


class ViewJoinedOrder(_OrderInA):
    """As above, joined to the materialised view."""

    customer = models.ForeignKey(ViewedCustomer, models.DO_NOTHING, null=True)

    class Meta:
        managed = False
        db_table = "orders_orderevent"
