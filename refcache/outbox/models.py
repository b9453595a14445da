"""The two tables that lie beside the rows whose changes they tell of."""

from django.db import models


class Change(models.Model):
    """What one statement changed, or one row's change, noted in the transaction that made it.

    Args:
        table: As `ReferenceCache.tables()` names it.
        rows: JSON: a list of {column: value}, before and after; None: any row may have changed.
        at: When the trigger ran, by the database's clock, in seconds since 1970. A number, as no
            setting of zones and no session's zone changes what it means.
    """

    id = models.BigAutoField(primary_key=True)
    table = models.CharField(max_length=255)
    rows = models.TextField(null=True)  # noqa: DJ001 - "any row" is no empty list of rows
    at = models.FloatField()

    class Meta:
        app_label = "refcache_outbox"  # so that it can be imported where the app is not installed
        db_table = "refcache_outbox"

    def __str__(self) -> str:
        return f"{self.id}: {self.table}"


class InstalledTrigger(models.Model):
    """With what SQL a table's triggers were made: a migration may have outdated or dropped them."""

    table = models.CharField(max_length=255, primary_key=True)
    digest = models.CharField(max_length=32)
    notifies = models.BooleanField()

    class Meta:
        app_label = "refcache_outbox"
        db_table = "refcache_outbox_trigger"

    def __str__(self) -> str:
        return self.table
