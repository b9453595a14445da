"""The models that tests refer to."""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.functions import RandomUUID
from django.db import models
from django.db.models.functions import Length, Lower

from tests.testapp.every_field import AllFields, PairKeyed, UuidKeyed

__all__ = [
    "Account",
    "AllFields",
    "Author",
    "Badge",
    "Bar",
    "Bargain",
    "Cafe",
    "Company",
    "Country",
    "Coupon",
    "Currency",
    "Customer",
    "Device",
    "Document",
    "Dotted",
    "Label",
    "Legacy",
    "Lot",
    "Meter",
    "Odd",
    "Offer",
    "OrderEvent",
    "OrderLine",
    "PairKeyed",
    "Place",
    "Shelf",
    "Singer",
    "Slot",
    "Songwriter",
    "Subscriber",
    "Ticket",
    "UuidKeyed",
    "VipCustomer",
]


class Country(models.Model):
    name = models.CharField(max_length=50)


class Company(models.Model):
    name = models.CharField(max_length=50)
    code = models.CharField(max_length=10, unique=True)
    country = models.ForeignKey(Country, models.SET_NULL, null=True)


class Customer(models.Model):
    name = models.CharField(max_length=50)
    tier = models.CharField(max_length=10, default="basic")
    email = models.EmailField(unique=True, null=True)
    is_active = models.BooleanField(default=True)
    # Without a constraint, so that a test can leave it dangling.
    company = models.ForeignKey(Company, models.SET_NULL, null=True, db_constraint=False)
    company_code = models.ForeignKey(
        Company, models.CASCADE, null=True, to_field="code", related_name="by_code"
    )


class VipCustomer(Customer):
    class Meta:
        proxy = True


class Device(models.Model):
    id = models.UUIDField(primary_key=True)
    serial = models.CharField(max_length=50)


class Currency(models.Model):
    code = models.CharField(max_length=10, primary_key=True)
    name = models.CharField(max_length=50)


class Meter(models.Model):
    """Is identified by two columns that are not its primary key."""

    site = models.CharField(max_length=20)
    number = models.IntegerField()
    unit = models.CharField(max_length=10)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["site", "number"], name="meter_place")]


class Shelf(models.Model):
    """Has a primary key of two columns."""

    pk = models.CompositePrimaryKey("hall", "number")
    hall = models.CharField(max_length=20)
    number = models.IntegerField()
    label = models.CharField(max_length=50)


class Document(models.Model):
    content = models.JSONField(null=True)
    tags = ArrayField(models.CharField(max_length=20), null=True)


class ConvertedField(models.TextField):  # type: ignore[type-arg]  # at run time it takes none
    """Turns what the database gives into something else."""

    def from_db_value(self, value: str, *_: object) -> list[str]:
        return value.split()


class Offer(models.Model):
    """Has a field whose name has a meaning of its own, and one that cannot be stored exactly."""

    key = models.CharField(max_length=20)
    words = ConvertedField()


class Lot(models.Model):
    """Has a primary key that cannot be stored exactly."""

    code = ConvertedField(primary_key=True)
    name = models.CharField(max_length=50)


class Bargain(models.Model):
    lot = models.ForeignKey(Lot, models.CASCADE)


class Label(models.Model):
    """Has columns that the database computes from others, one of which identifies the row."""

    text = models.CharField(max_length=50)
    note = models.CharField(max_length=50, default="")
    length = models.GeneratedField(
        expression=Length("text"), output_field=models.IntegerField(), db_persist=True
    )
    lower = models.GeneratedField(
        expression=Lower("text"),
        output_field=models.CharField(max_length=50),
        db_persist=True,
        unique=True,
    )


class Ticket(models.Model):
    """Has a primary key that the database makes."""

    id = models.UUIDField(primary_key=True, db_default=RandomUUID())
    title = models.CharField(max_length=50)


class Place(models.Model):
    name = models.CharField(max_length=50)


class Cafe(Place):
    seats = models.IntegerField()


class Bar(Place):
    """May be of the same place as a cafe."""

    beers = models.IntegerField()


class Author(models.Model):
    author_id = models.AutoField(primary_key=True)
    words = models.CharField(max_length=50)


class Singer(models.Model):
    singer_id = models.AutoField(primary_key=True)
    tune = models.CharField(max_length=50)


class Songwriter(Author, Singer):
    """Has two parents; its primary key is the first one's."""

    title = models.CharField(max_length=50)


class OrderEvent(models.Model):
    """Lies in the other database, and holds plain ids."""

    customer_id = models.BigIntegerField(null=True)
    device_id = models.UUIDField(null=True)
    amount = models.IntegerField(default=0)


class OrderLine(models.Model):
    event = models.ForeignKey(OrderEvent, models.CASCADE, related_name="lines")
    currency_code = models.CharField(max_length=10)


class Legacy(models.Model):
    """Lies in a table that another application has made, in a schema of its own."""

    code = models.CharField(db_column="The Code", max_length=20, primary_key=True)
    name = models.CharField(db_column="select", max_length=50)

    class Meta:
        managed = False
        db_table = 'legacy"."Old Table'


class Badge(models.Model):
    """Has columns whose names are not in lower case."""

    number = models.AutoField(primary_key=True, db_column="Id")
    name = models.CharField(max_length=50, db_column="HolderName")


class Dotted(models.Model):
    name = models.CharField(max_length=50)

    class Meta:
        db_table = "testapp.dotted"


class Odd(models.Model):
    """Has names that need their quotes."""

    name = models.CharField(max_length=50, db_column="a b,c (é)[0]")

    class Meta:
        db_table = "testapp Odd é-Table (1)"


class Account(models.Model):
    name = models.CharField(max_length=50)
    email = models.CharField(max_length=50, unique=True, null=True)


class Subscriber(Account):
    """Is found by a key that lies in its parent's table."""

    plan = models.CharField(max_length=50)


class Slot(models.Model):
    """Has a primary key that the database knows beforehand."""

    id = models.IntegerField(primary_key=True, db_default=77)
    name = models.CharField(max_length=50)


class _CurrentManager(models.Manager["Coupon"]):
    def get_queryset(self) -> models.QuerySet["Coupon"]:
        return super().get_queryset().filter(is_expired=False)


class Coupon(models.Model):
    """Has a base manager that hides rows."""

    name = models.CharField(max_length=50)
    is_expired = models.BooleanField(default=False)

    objects = _CurrentManager()

    class Meta:
        base_manager_name = "objects"
