"""Orders in one database, and what they refer to in the other."""

from django.contrib.postgres.fields import ArrayField, IntegerRangeField
from django.db import models


class Firm(models.Model):
    name = models.CharField(max_length=50)


class Buyer(models.Model):
    class Tier(models.TextChoices):
        BASIC = "basic"
        GOLD = "gold"

    name = models.CharField(max_length=50)
    tier = models.CharField(max_length=10, choices=Tier, default=Tier.BASIC)
    firm = models.ForeignKey(Firm, models.SET_NULL, null=True)
    is_active = models.BooleanField(default=True)


class Gadget(models.Model):
    serial = models.CharField(max_length=20, unique=True)


class Spot(models.Model):
    """Is referred to by two columns."""

    site = models.CharField(max_length=20)
    number = models.IntegerField()
    label = models.CharField(max_length=20)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["site", "number"], name="spot_place")]


class Represented(models.Model):
    """One column of each kind that REST framework does not show as it is, and some others."""

    binary = models.BinaryField(null=True)
    choice = models.CharField(max_length=10, choices=Buyer.Tier, null=True)
    date = models.DateField(null=True)
    dates = ArrayField(models.DateField(), null=True)
    datetime = models.DateTimeField(null=True)
    decimal = models.DecimalField(max_digits=9, decimal_places=3, null=True)
    doubled = models.GeneratedField(
        expression=models.F("decimal") + models.F("decimal"),
        output_field=models.DecimalField(max_digits=10, decimal_places=3),
        db_persist=True,
    )
    duration = models.DurationField(null=True)
    file = models.FileField(null=True)
    flag = models.BooleanField(null=True)
    floating = models.FloatField(null=True)
    gadget = models.ForeignKey(Gadget, models.SET_NULL, null=True)
    json = models.JSONField(null=True)
    span = IntegerRangeField(null=True)
    text = models.TextField(null=True)
    time = models.TimeField(null=True)
    uuid = models.UUIDField(null=True)


class Shop(models.Model):
    """Lies in the events database, as do all below."""

    name = models.CharField(max_length=50)
    gadget_id = models.BigIntegerField(null=True)


class Order(models.Model):
    buyer_id = models.BigIntegerField(null=True)
    gadget_id = models.BigIntegerField(null=True)
    serial = models.CharField(max_length=20, null=True)
    represented_id = models.BigIntegerField(null=True)
    shop = models.ForeignKey(Shop, models.CASCADE, null=True)
    packages = models.JSONField(null=True)

    class Meta:
        ordering = ["pk"]

    @property
    def buyer_text(self) -> str:
        return f" {self.buyer_id} "

    def ask_buyer(self) -> int | None:
        return self.buyer_id


class Invoice(models.Model):
    order = models.OneToOneField(Order, models.CASCADE, related_name="invoice")
    buyer_id = models.BigIntegerField(null=True)


class Line(models.Model):
    order = models.ForeignKey(Order, models.CASCADE, related_name="lines")
    gadget_id = models.BigIntegerField(null=True)

    class Meta:
        ordering = ["pk"]


class Part(models.Model):
    line = models.ForeignKey(Line, models.CASCADE, related_name="parts")
    site = models.CharField(max_length=20, null=True)
    number = models.IntegerField(null=True)

    class Meta:
        ordering = ["pk"]
