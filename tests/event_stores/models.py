"""Readings as TimescaleDB keeps them: every unique index of a hypertable holds the time."""

from django.db import models

__all__ = ["Reading", "UnmanagedReading"]


class Reading(models.Model):
    pk = models.CompositePrimaryKey("at", "device_number")
    at = models.DateTimeField()
    device_number = models.IntegerField()
    customer_id = models.BigIntegerField()
    value = models.FloatField()

    class Meta:
        app_label = "event_stores"  # no app of the tests' project: its test makes the table


class UnmanagedReading(models.Model):
    """The same table, as made by somebody else."""

    pk = models.CompositePrimaryKey("at", "device_number")
    at = models.DateTimeField()
    device_number = models.IntegerField()
    customer_id = models.BigIntegerField()

    class Meta:
        app_label = "event_stores"
        managed = False
        db_table = "event_stores_reading"
