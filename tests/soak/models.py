"""The rows that are read and written."""

from django.db import models


class Row(models.Model):
    """Its version only grows, whoever writes it; a mark that begins with `lost` is rolled back.

    `part` is for conditions; `code` is another key, which stays.
    """

    id = models.BigIntegerField(primary_key=True)  # The database makes none.
    version = models.BigIntegerField()
    mark = models.CharField(max_length=40)
    code = models.CharField(max_length=10, unique=True)
    part = models.IntegerField()
