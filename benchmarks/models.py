"""The rows that are read."""

from django.db import models


class Customer(models.Model):
    name = models.CharField(max_length=100)
    tier = models.CharField(max_length=10)

    def __str__(self) -> str:
        return self.name


class Stranger(models.Model):
    """A customer's twin that no reference reads."""

    name = models.CharField(max_length=100)
    tier = models.CharField(max_length=10)

    def __str__(self) -> str:
        return self.name
