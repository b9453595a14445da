"""One relation of each kind, to see what routers are asked."""

from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.db import models


class Author(models.Model):
    name = models.CharField(max_length=50)


class Profile(models.Model):
    author = models.OneToOneField(Author, models.CASCADE)
    motto = models.CharField(max_length=50, default="")


class Tag(models.Model):
    name = models.CharField(max_length=50)


class Book(models.Model):
    title = models.CharField(max_length=50)
    year = models.DateField(null=True, blank=True)
    author = models.ForeignKey(Author, models.CASCADE, related_name="books", null=True)
    tags = models.ManyToManyField(Tag, related_name="books")
    items = GenericRelation("Item")


class Item(models.Model):
    """Is of any other row."""

    note = models.CharField(max_length=50, default="")
    # Without a constraint: this app's tables are made before those of apps with migrations.
    content_type = models.ForeignKey(ContentType, models.CASCADE, null=True, db_constraint=False)
    object_id = models.BigIntegerField(null=True)
    content_object = GenericForeignKey()


class Place(models.Model):
    name = models.CharField(max_length=50)


class Cafe(Place):
    seats = models.IntegerField(default=0)


class _TaggedManager(models.Manager["Shelf"]):
    def get_queryset(self) -> models.QuerySet["Shelf"]:
        return super().get_queryset().exclude(name="hidden").prefetch_related("books__tags")


class Library(models.Model):
    name = models.CharField(max_length=50)


class Shelf(models.Model):
    """Has a manager that leaves rows out, and that prefetches."""

    name = models.CharField(max_length=50)
    library = models.ForeignKey(Library, models.CASCADE, related_name="shelves")
    books = models.ManyToManyField(Book)

    objects = _TaggedManager()
