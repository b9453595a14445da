"""The rows that are read and written."""

from django.db import models


class Customer(models.Model):
    """Its value only grows."""

    id = models.BigIntegerField(primary_key=True)  # The database makes none.
    value = models.BigIntegerField()

    class Meta:
        db_table = "customer"
