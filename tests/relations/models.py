"""Visits in one database, and what they refer to in the other by `ReferenceTo`."""

from django.db import models

from refcache import ReferenceTo


class Client(models.Model):
    name = models.CharField(max_length=50)
    tier = models.CharField(max_length=10, default="basic")


class Machine(models.Model):
    serial = models.CharField(max_length=20)


class Place(models.Model):
    """Is referred to by two columns."""

    site = models.CharField(max_length=20)
    number = models.IntegerField()
    label = models.CharField(max_length=20)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["site", "number"], name="place_place")]


class Batch(models.Model):
    """Lies in the events database, as do all below."""

    title = models.CharField(max_length=50)


class Seen(models.Model):
    """Abstract: each model below it has the reference."""

    client_id = models.BigIntegerField(null=True)
    client = ReferenceTo("client", key="client_id")

    class Meta:
        abstract = True


class OnMachine:
    """No model at all."""

    machine = ReferenceTo("machine", key="machine_id", along_with=["client", "place"])


class Visit(OnMachine, Seen):
    batch = models.ForeignKey(Batch, models.CASCADE, null=True, related_name="visits")
    machine_id = models.BigIntegerField(null=True)
    site = models.CharField(max_length=20, null=True)
    number = models.IntegerField(null=True)
    note = models.CharField(max_length=20, null=True)

    place = ReferenceTo("place", key=("site", "number"))
    or_none = ReferenceTo("client-or-none", key="client_id")
    noted = ReferenceTo("client", key="note")

    class Meta:
        ordering = ["pk"]


class UrgentVisit(Visit):
    """Has a table of its own."""

    hours = models.IntegerField(default=1)

    class Meta(Visit.Meta):
        pass


class ProxiedVisit(Visit):
    class Meta(Visit.Meta):
        proxy = True


class Task(models.Model):
    visit = models.ForeignKey(Visit, models.CASCADE, related_name="tasks")
    machine_id = models.BigIntegerField(null=True)

    machine = ReferenceTo("machine", key="machine_id")

    class Meta:
        ordering = ["pk"]
