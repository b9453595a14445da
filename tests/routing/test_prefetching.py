"""`prefetch_using`: every row from one alias, though the routers ignore the hint."""

import pickle
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.contenttypes.models import ContentType
from django.contrib.contenttypes.prefetch import GenericPrefetch
from django.db.models import Prefetch, QuerySet, prefetch_related_objects

from refcache.routing import prefetch_using
from refcache.routing.prefetching import LaterRows
from tests.routing.conftest import statements_by_alias
from tests.routing.models import Author, Book, Item, Library, Profile, Shelf, Tag
from tests.routing.routers import PRIMARY, REPLICA, ReadsPrimary

pytestmark = [
    pytest.mark.django_db(databases=["default", "events"]),
    pytest.mark.usefixtures("lab", "ignored"),
]


@pytest.fixture
def ignored(routed_by: Callable[..., None]) -> None:
    """A router sends every read to the primary, whatever it is for."""
    routed_by(ReadsPrimary())


def rows(model: type[Any], *lookups: Any) -> QuerySet[Any]:
    found: QuerySet[Any] = model.objects.using(REPLICA).order_by("pk").prefetch_related(*lookups)
    return found


SINGLE = [
    pytest.param(Book, "author", id="foreign key"),
    pytest.param(Profile, "author", id="one to one"),
    pytest.param(Author, "profile", id="one to one, from the other side"),
    pytest.param(Author, "books", id="foreign key, from the other side"),
    pytest.param(Book, "tags", id="many to many"),
    pytest.param(Tag, "books", id="many to many, from the other side"),
    pytest.param(Book, "items", id="generic relation"),
    pytest.param(Item, "content_object", id="generic foreign key"),
]
NESTED = [
    pytest.param(Author, "books__tags__books", id="three levels"),
    pytest.param(Profile, "author__books__items", id="to a generic relation"),
    pytest.param(Book, "items__content_object__author", id="through a generic foreign key"),
    pytest.param(Item, "content_type", id="to the content types"),
]


@pytest.mark.parametrize(("model", "path"), [*SINGLE, *NESTED])
def test_every_row_of_a_path_is_read_from_the_alias(model: type[Any], path: str) -> None:
    ContentType.objects.clear_cache()

    with statements_by_alias() as sent:
        found = list(rows(model, *prefetch_using(REPLICA, path)))
        reached = follow(found, path)

    assert reached
    assert {each._state.db for each in reached} == {REPLICA}
    assert list(sent) == [REPLICA]


@pytest.mark.parametrize(("model", "path"), SINGLE)
def test_without_it_a_router_that_ignores_the_hint_mixes_two_databases(
    model: type[Any], path: str
) -> None:
    found = list(rows(model, path))

    assert {each._state.db for each in found} == {REPLICA}
    assert {each._state.db for each in follow(found, path)} == {PRIMARY}


@pytest.mark.parametrize(("model", "path"), [*SINGLE, *NESTED])
def test_the_rows_are_those_that_django_finds(model: type[Any], path: str) -> None:
    expected = follow(list(model.objects.order_by("pk").prefetch_related(path)), path)

    found = follow(list(rows(model, *prefetch_using(REPLICA, path))), path)

    assert {(type(each), each.pk) for each in found} == {(type(each), each.pk) for each in expected}
    assert len(found) == len(expected)


@pytest.mark.parametrize(
    ("model", "path", "queries"),
    [
        (Book, "author", 2),
        (Author, "books__tags__books", 4),
        # The items, the content types of the alias, books, authors.
        (Item, "content_object", 4),
    ],
)
def test_it_costs_a_query_for_each_level(model: type[Any], path: str, queries: int) -> None:
    list(rows(model, *prefetch_using(REPLICA, path)))  # Django remembers the content types.

    with statements_by_alias() as sent:
        list(rows(model, *prefetch_using(REPLICA, path)))

    assert len(sent[REPLICA]) == queries


def test_content_types_that_are_not_known_yet_cost_one_query_however_many_there_are() -> None:
    ContentType.objects.clear_cache()

    with statements_by_alias() as sent:
        list(rows(Item, *prefetch_using(REPLICA, "content_object")))

    assert len(sent[REPLICA]) == 5


def test_the_lookups_can_be_used_again() -> None:
    lookups = prefetch_using(REPLICA, "books__tags", Prefetch("books", to_attr="mine"))

    for _ in range(2):
        with statements_by_alias() as sent:
            found = list(rows(Author, *lookups))

        assert follow(found, "books__tags")
        assert list(sent) == [REPLICA]


def test_a_queryset_of_ones_own_is_read_from_the_alias() -> None:
    lookup = Prefetch("books", Book.objects.filter(pk__gt=2).prefetch_related("tags"), "late")

    with statements_by_alias() as sent:
        found = list(rows(Author, *prefetch_using(REPLICA, lookup, "late__author__profile")))
        reached = follow(found, "late__author__profile") + follow(found, "late__tags")

    assert {book.pk for author in found for book in author.late} == {3, 4}
    assert {each._state.db for each in reached} == {REPLICA}
    assert list(sent) == [REPLICA]


def test_what_was_given_is_left_as_it_was() -> None:
    lookup = Prefetch("books", Book.objects.prefetch_related("tags"))

    list(rows(Author, *prefetch_using(REPLICA, lookup)))

    assert lookup.queryset is not None
    assert lookup.queryset.db == PRIMARY
    assert vars(lookup.queryset)["_prefetch_related_lookups"] == ("tags",)


def test_a_queryset_that_names_its_database_keeps_it_and_hands_it_down() -> None:
    lookup = Prefetch("books", Book.objects.using(PRIMARY).prefetch_related("tags"))

    found = list(rows(Author, *prefetch_using(REPLICA, "profile", lookup)))

    assert {each._state.db for each in follow(found, "profile")} == {REPLICA}
    assert {each._state.db for each in follow(found, "books")} == {PRIMARY}
    assert {each._state.db for each in follow(found, "books__tags")} == {PRIMARY}


def test_a_branch_of_its_own_goes_elsewhere_as_a_whole(routed_by: Callable[..., None]) -> None:
    routed_by()
    branch = prefetch_using(PRIMARY, "books", "books__tags", "books__items")

    found = list(rows(Author, *prefetch_using(REPLICA, "profile", *branch)))

    assert {each._state.db for each in follow(found, "profile")} == {REPLICA}
    for path in ("books", "books__tags", "books__items"):
        assert {each._state.db for each in follow(found, path)} == {PRIMARY}


def test_a_generic_prefetch_is_read_from_the_alias() -> None:
    lookup = GenericPrefetch(
        "content_object",
        [Book.objects.filter(pk__gt=1).prefetch_related("tags"), Author.objects.all()],
    )
    list(rows(Item, *prefetch_using(REPLICA, lookup)))

    with statements_by_alias() as sent:
        found = list(rows(Item, *prefetch_using(REPLICA, lookup)))

    assert [each.content_object and each.content_object.pk for each in found] == [None, 2, 3, 4, 2]
    # The items, books, their tags, authors: the content types are not asked for.
    assert {alias: len(each) for alias, each in sent.items()} == {REPLICA: 4}


def test_to_a_generic_foreign_key_below_others() -> None:
    lookup = GenericPrefetch("items__content_object", [Book.objects.all()])

    with statements_by_alias() as sent:
        found = follow(list(rows(Book, *prefetch_using(REPLICA, lookup))), "items__content_object")

    assert {each._state.db for each in found} == {REPLICA}
    assert list(sent) == [REPLICA]


def test_managers_that_leave_rows_out_and_that_prefetch_do_so() -> None:
    with statements_by_alias() as sent:
        (library,) = rows(Library, *prefetch_using(REPLICA, "shelves"))
        reached = follow([library], "shelves__books__tags")

    assert [each.name for each in library.shelves.all()] == ["seen"]
    assert {each._state.db for each in reached} == {REPLICA}
    assert list(sent) == [REPLICA]


def test_an_iterator_prefetches_each_chunk_from_the_alias() -> None:
    lookups = prefetch_using(REPLICA, "author", "tags")

    with statements_by_alias() as sent:
        found = list(rows(Book, *lookups).iterator(chunk_size=2))
        follow(found, "author")
        follow(found, "tags")

    assert {alias: len(each) for alias, each in sent.items()} == {REPLICA: 5}


def test_objects_that_are_there_already_are_served_too() -> None:
    books = list(rows(Book))

    with statements_by_alias() as sent:
        prefetch_related_objects(books, *prefetch_using(REPLICA, "author__profile"))

    assert {each._state.db for each in follow(books, "author__profile")} == {REPLICA}
    assert list(sent) == [REPLICA]


def test_a_queryset_that_was_pickled_reads_from_the_alias() -> None:
    lookups = prefetch_using(REPLICA, "author", Prefetch("tags", Tag.objects.filter(pk=1)))
    restored = pickle.loads(pickle.dumps(rows(Book, *lookups).query))  # noqa: S301 - our own
    books = rows(Book, *pickle.loads(pickle.dumps(lookups)))  # noqa: S301 - our own
    books.query = restored

    with statements_by_alias() as sent:
        found = follow(list(books), "author")

    assert {each._state.db for each in found} == {REPLICA}
    assert list(sent) == [REPLICA]


def test_a_wrong_name_is_refused_as_django_does() -> None:
    with pytest.raises(AttributeError, match="Cannot find 'nothing' on Book object"):
        list(rows(Book, *prefetch_using(REPLICA, "nothing")))


def test_a_path_and_a_queryset_for_the_same_rows_are_refused_as_django_does() -> None:
    lookups = prefetch_using(REPLICA, "books", Prefetch("books", Book.objects.all()))

    with pytest.raises(ValueError, match="already seen with a different queryset"):
        list(rows(Author, *lookups))


def test_what_cannot_take_a_queryset_is_told_so() -> None:
    with pytest.raises(TypeError, match=r"'price' cannot be read from 'events': .* Leave it out"):
        LaterRows(REPLICA, "price").filter()


def test_rows_of_a_select_related_are_not_read_again() -> None:
    with statements_by_alias() as sent:
        books = rows(Book, *prefetch_using(REPLICA, "author__profile")).select_related("author")
        found = follow(list(books), "author__profile")

    assert {each._state.db for each in found} == {REPLICA}
    assert {alias: len(each) for alias, each in sent.items()} == {REPLICA: 2}


def test_an_empty_page_asks_nobody() -> None:
    with statements_by_alias() as sent:
        list(rows(Shelf, *prefetch_using(REPLICA, "library")).filter(pk=0))

    assert {alias: len(each) for alias, each in sent.items()} == {REPLICA: 1}


def follow(instances: list[Any], path: str) -> list[Any]:
    """What the path leads to, each as often as it is reached; nothing is to be queried."""
    for name in path.split("__"):
        values = [getattr(each, name) for each in instances if hasattr(each, name)]
        instances = [row for value in values for row in _rows(value) if row is not None]
    return instances


def _rows(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    return list(value.all()) if hasattr(value, "all") else [value]
