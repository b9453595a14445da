"""The lab's tables and rows, on any two databases."""

from typing import Any

from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.db import connections

from tests.routing.models import Author, Book, Cafe, Item, Library, Profile, Shelf, Tag


def create_tables(alias: str) -> None:
    """Those that are not there yet: all of the lab's, and that of the content types."""
    connection = connections[alias]
    known = connection.introspection.table_names()
    wanted: Any = [ContentType, *apps.get_app_config("lab").get_models()]
    with connection.schema_editor() as editor:
        for model in wanted:
            if model._meta.db_table not in known:
                editor.create_model(model)


def copy_types(source: str, target: str) -> None:
    """As on a replica, the content types have the same keys in both."""
    ContentType.objects.clear_cache()
    models = apps.get_app_config("lab").get_models()
    types = ContentType.objects.db_manager(source).get_for_models(*models).values()
    ContentType.objects.using(target).bulk_create(
        ContentType(pk=each.pk, app_label=each.app_label, model=each.model) for each in types
    )


def fill(alias: str) -> None:
    """The same rows wherever it is called, apart from their text, which names the alias.

    Three authors with a profile each; four books, of two tags each; an item per book and one of
    an author; a library with two shelves, of which one is hidden.
    """
    authors = [Author(pk=pk, name=f"{alias} {pk}") for pk in (1, 2, 3)]
    Author.objects.using(alias).bulk_create(authors)
    Profile.objects.using(alias).bulk_create(
        [Profile(pk=pk, author_id=pk, motto=alias) for pk in (1, 2, 3)]
    )
    Tag.objects.using(alias).bulk_create([Tag(pk=pk, name=alias) for pk in (1, 2, 3)])
    books = [Book(pk=pk, title=f"{alias} {pk}", author_id=1 + pk % 3) for pk in (1, 2, 3, 4)]
    Book.objects.using(alias).bulk_create(books)
    through = Book.tags.through
    through._base_manager.using(alias).bulk_create(
        [through(book_id=book.pk, tag_id=tag) for book in books for tag in (1, 2)]
    )
    _fill_others(alias)


def _fill_others(alias: str) -> None:
    types = ContentType.objects.db_manager(alias)
    book, author = types.get_for_model(Book), types.get_for_model(Author)
    items = [Item(pk=pk, content_type_id=book.pk, object_id=pk, note=alias) for pk in (1, 2, 3, 4)]
    Item.objects.using(alias).bulk_create(
        [*items, Item(pk=5, content_type_id=author.pk, object_id=2, note=alias)]
    )
    Cafe(pk=1, name=alias, seats=2).save(using=alias)
    Library(pk=1, name=alias).save(using=alias)
    for pk, name in enumerate(("seen", "hidden"), start=1):
        Shelf(pk=pk, name=name, library_id=1).save(using=alias)
    holds = Shelf.books.through
    holds._base_manager.using(alias).bulk_create(
        [holds(shelf_id=shelf, book_id=book) for shelf in (1, 2) for book in (1, 2)]
    )
