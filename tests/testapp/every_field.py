"""One column of each kind that Django has."""

from django.apps.registry import Apps
from django.contrib.postgres import fields as postgres
from django.contrib.postgres.search import SearchVectorField
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models.functions import Lower


class UuidKeyed(models.Model):
    id = models.UUIDField(primary_key=True)

    class Meta:
        app_label = "testapp"


class PairKeyed(models.Model):
    pk = models.CompositePrimaryKey("site", "number")
    site = models.CharField(max_length=20)
    number = models.BigIntegerField()

    class Meta:
        app_label = "testapp"


class AllFields(models.Model):
    """Without ImageField, which wants Pillow; it is stored as a FileField is."""

    big_integer = models.BigIntegerField(null=True)
    binary = models.BinaryField(null=True)
    boolean = models.BooleanField(null=True)
    char = models.CharField(max_length=200, null=True)
    date = models.DateField(null=True)
    datetime = models.DateTimeField(null=True)
    decimal = models.DecimalField(max_digits=12, decimal_places=3, null=True)
    duration = models.DurationField(null=True)
    email = models.EmailField(null=True)
    file = models.FileField(null=True)
    file_path = models.FilePathField(null=True)
    floating = models.FloatField(null=True)
    integer = models.IntegerField(null=True)
    ip_address = models.GenericIPAddressField(null=True)
    json = models.JSONField(null=True)
    json_encoded = models.JSONField(null=True, encoder=DjangoJSONEncoder)
    positive_big_integer = models.PositiveBigIntegerField(null=True)
    positive_integer = models.PositiveIntegerField(null=True)
    positive_small_integer = models.PositiveSmallIntegerField(null=True)
    slug = models.SlugField(null=True)
    small_integer = models.SmallIntegerField(null=True)
    text = models.TextField(null=True)
    time = models.TimeField(null=True)
    url = models.URLField(null=True)
    uuid = models.UUIDField(null=True)
    foreign_key = models.ForeignKey(UuidKeyed, models.CASCADE, null=True, related_name="+")
    one_to_one = models.OneToOneField("self", models.CASCADE, null=True, related_name="+")
    generated_text = models.GeneratedField(
        expression=Lower("char"), output_field=models.CharField(max_length=200), db_persist=True
    )
    generated_decimal = models.GeneratedField(
        expression=models.F("decimal") + models.F("decimal"),
        output_field=models.DecimalField(max_digits=13, decimal_places=3),
        db_persist=True,
    )

    class Meta:
        app_label = "testapp"


class PostgresFields(models.Model):
    """In a registry of its own: it has no table but where a test makes one."""

    integers = postgres.ArrayField(models.IntegerField(), null=True)
    nested = postgres.ArrayField(
        postgres.ArrayField(models.DecimalField(max_digits=9, decimal_places=2)), null=True
    )
    times = postgres.ArrayField(models.DateTimeField(), null=True)
    documents = postgres.ArrayField(models.JSONField(), null=True)
    hstore = postgres.HStoreField(null=True)
    integer_range = postgres.IntegerRangeField(null=True)
    big_integer_range = postgres.BigIntegerRangeField(null=True)
    decimal_range = postgres.DecimalRangeField(null=True)
    datetime_range = postgres.DateTimeRangeField(null=True)
    date_range = postgres.DateRangeField(null=True)
    search = SearchVectorField(null=True)
    generated_json = models.GeneratedField(
        expression=models.F("documents__0"),  # type: ignore[arg-type]  # the stubs forget F
        output_field=models.JSONField(),
        db_persist=True,
    )

    class Meta:
        app_label = "testapp"
        apps = Apps()
