"""Django's fields to columns: each of Django's is known, and nothing is guessed."""

from typing import TYPE_CHECKING, Any, cast
from zoneinfo import ZoneInfo

import pytest
from django.contrib.postgres import fields as postgres
from django.contrib.postgres.search import SearchVectorField
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import ConnectionHandler
from django.utils.functional import lazystr
from django.utils.safestring import mark_safe

from refcache.core.exceptions import InvalidReference
from refcache.reading.columns import UnsupportedField, column_for
from tests.testapp.every_field import AllFields, PairKeyed, PostgresFields

if TYPE_CHECKING:
    Field = models.Field[Any, Any]
    CharField = models.CharField[Any, Any]
    IntegerField = models.IntegerField[Any, Any]
else:
    Field, CharField, IntegerField = models.Field, models.CharField, models.IntegerField


def signature(field: Field, over: BaseDatabaseWrapper = connection) -> str:
    return column_for(field, "it", over).kind.signature


def field_of(model: type[models.Model], name: str) -> Field:
    return cast("Field", model._meta.get_field(name))


def sqlite(zone: str | None = None) -> BaseDatabaseWrapper:
    """A connection that is never opened."""
    settings = {"ENGINE": "django.db.backends.sqlite3", "NAME": "unused", "TIME_ZONE": zone}
    return ConnectionHandler({"default": settings})["default"]


FIELDS: list[tuple[Field, str]] = [
    (models.AutoField(primary_key=True), "int"),
    (models.BigAutoField(primary_key=True), "int"),
    (models.SmallAutoField(primary_key=True), "int"),
    (models.BigIntegerField(), "int"),
    (models.IntegerField(), "int"),
    (models.PositiveBigIntegerField(), "int"),
    (models.PositiveIntegerField(), "int"),
    (models.PositiveSmallIntegerField(), "int"),
    (models.SmallIntegerField(), "int"),
    (models.OrderWrt(), "int"),
    (models.BinaryField(), "bytes"),
    (models.BooleanField(), "bool"),
    (models.CharField(), "str"),
    (models.EmailField(), "str"),
    (models.FileField(), "str"),
    (models.FilePathField(), "str"),
    (models.GenericIPAddressField(), "str"),
    (models.ImageField(), "str"),
    (models.SlugField(), "str"),
    (models.TextField(), "str"),
    (models.URLField(), "str"),
    (models.DateField(), "date"),
    (models.DateTimeField(), "datetime(UTC)"),
    (models.TimeField(), "time"),
    (models.DurationField(), "timedelta"),
    (models.DecimalField(max_digits=5, decimal_places=2), "decimal"),
    (models.FloatField(), "float"),
    (models.UUIDField(), "uuid"),
    (models.JSONField(), "json(,)"),
    (
        models.JSONField(encoder=DjangoJSONEncoder),
        "json(django.core.serializers.json.DjangoJSONEncoder,)",
    ),
    (postgres.ArrayField(postgres.ArrayField(models.DateField())), "array(array(date))"),
    (postgres.HStoreField(), "hstore"),
    (postgres.IntegerRangeField(), "range(int)"),
    (postgres.BigIntegerRangeField(), "range(int)"),
    (postgres.DecimalRangeField(), "range(decimal)"),
    (postgres.DateRangeField(), "range(date)"),
    (postgres.DateTimeRangeField(), "range(datetime(UTC))"),
    (SearchVectorField(), "str"),
]


@pytest.mark.parametrize(
    ("field", "expected"),
    FIELDS,
    ids=lambda value: type(value).__name__ if isinstance(value, models.Field) else value,
)
def test_every_field_of_django_has_a_kind(field: Field, expected: str) -> None:
    assert signature(field) == expected


def test_no_field_of_django_is_forgotten() -> None:
    # Relations without a column, what only migrations of old projects use, and the base class.
    others = {"CommaSeparatedIntegerField", "Field", "IPAddressField", "NullBooleanField"}
    others |= {"ForeignObject", "ManyToManyField"}
    names = {
        name
        for name, cls in vars(models).items()
        if isinstance(cls, type) and issubclass(cls, models.Field)
    }
    here = {type(field).__name__ for field, _ in FIELDS}
    here |= {"CompositePrimaryKey", "ForeignKey", "GeneratedField", "OneToOneField"}

    assert names - others <= here


def test_a_relation_is_what_it_refers_to() -> None:
    assert signature(field_of(AllFields, "foreign_key")) == "uuid"
    assert signature(field_of(AllFields, "one_to_one")) == "int"


def test_a_generated_field_is_its_output() -> None:
    assert signature(field_of(AllFields, "generated_text")) == "str"
    assert signature(field_of(PostgresFields, "generated_json")) == "json(,)"


def test_a_composite_key_is_a_tuple() -> None:
    assert signature(PairKeyed._meta.pk) == "tuple(str,int)"


def test_datetimes_have_the_zone_of_their_connection() -> None:
    field = models.DateTimeField()

    assert signature(field, sqlite()) == "datetime(UTC)"
    assert signature(field, sqlite("Europe/Paris")) == f"datetime({ZoneInfo('Europe/Paris')!r})"
    assert column_for(field, "at", sqlite()).kind.direct.__metadata__[0].tz is True


def test_datetimes_are_naive_where_time_zones_are_off(settings: Any) -> None:
    settings.USE_TZ = False

    assert signature(models.DateTimeField(), sqlite()) == "datetime"


def test_a_column_has_the_name_that_it_is_given() -> None:
    assert column_for(models.CharField(), "company__name", connection).name == "company__name"


def test_lazy_and_safe_text_becomes_plain() -> None:
    kind = column_for(models.CharField(), "it", connection).kind

    carried = [kind.carry(lazystr("a")), kind.carry(mark_safe("a")), kind.carry("a")]

    assert carried == ["a", "a", "a"]
    assert {type(value) for value in carried} == {str}


class Renamed(CharField):
    """A subclass that leaves conversion alone."""

    def deconstruct(self) -> Any:
        return super().deconstruct()


class Converting(CharField):
    def from_db_value(self, value: Any, *_args: object) -> Any:
        return value


class ConvertingJson(models.JSONField):
    def from_db_value(self, value: Any, *_args: object) -> Any:
        return value


class Deeper(Converting):
    pass


class WithConverters(IntegerField):
    def get_db_converters(self, connection: Any) -> Any:
        return super().get_db_converters(connection)


class Selecting(IntegerField):
    def select_format(self, compiler: Any, sql: Any, params: Any) -> Any:
        return super().select_format(compiler, sql, params)


class Foreign(Field):
    pass


def test_a_subclass_that_leaves_conversion_alone_is_as_its_parent() -> None:
    assert signature(Renamed()) == "str"


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        (Converting(), r"Converting has a from_db_value\(\) of its own"),
        (ConvertingJson(), r"ConvertingJson has a from_db_value\(\) of its own"),
        (Deeper(), r"Converting has a from_db_value\(\) of its own"),
        (WithConverters(), r"get_db_converters\(\)"),
        (Selecting(), r"select_format\(\)"),
        (Foreign(), "Foreign is none of Django's fields"),
        (models.Field(), "none of Django's fields"),
        (postgres.ArrayField(Converting()), "Converting has a"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, models.Field) else value,
)
def test_a_field_that_converts_itself_is_refused(field: Field, reason: str) -> None:
    field.set_attributes_from_name("price")

    with pytest.raises(UnsupportedField, match=rf"price cannot be cached exactly: .*{reason}"):
        column_for(field, "price", connection)


def test_the_refusal_is_an_error_of_refcache_and_names_model_and_field() -> None:
    class Odd(models.Model):
        field = Foreign()

        class Meta:
            app_label = "testapp"
            apps = PostgresFields._meta.apps

    with pytest.raises(InvalidReference, match=r"^testapp\.Odd\.field cannot .* Leave the field"):
        column_for(field_of(Odd, "field"), "field", connection)
