"""Database B: what the shop knows about its customers and devices."""

from django.db import models


class Company(models.Model):
    """Whom a customer works for."""

    name = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.name


class Customer(models.Model):
    """Somebody who orders."""

    class Tier(models.TextChoices):
        """How well the shop treats them."""

        BASIC = "basic"
        SILVER = "silver"
        GOLD = "gold"

    name = models.CharField(max_length=100)
    email = models.EmailField(unique=True)
    tier = models.CharField(max_length=10, choices=Tier)
    is_active = models.BooleanField(default=True)
    company = models.ForeignKey(Company, on_delete=models.PROTECT, related_name="customers")

    def __str__(self) -> str:
        return self.name


class Device(models.Model):
    """A thing that the shop sells, and that reports its own orders."""

    serial = models.CharField(max_length=20, unique=True)
    label = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.label


class Agreement(models.Model):
    """What a customer pays less for one device; known by the two of them."""

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="agreements")
    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="agreements")
    discount = models.PositiveSmallIntegerField(help_text="Percent.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["customer", "device"], name="one_each")]

    def __str__(self) -> str:
        return f"{self.discount} %"
