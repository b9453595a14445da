"""`InstanceRouter`: where rows are read, written, related and migrated."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from refcache.routing import InstanceRouter
from tests.routing.conftest import statements_by_alias
from tests.routing.models import Author, Book, Item, Tag
from tests.routing.routers import PRIMARY, REPLICA
from tests.testapp.models import OrderEvent

pytestmark = [
    pytest.mark.django_db(databases=["default", "events"]),
    pytest.mark.usefixtures("lab"),
]

Route = Callable[..., None]


class WithReplica(InstanceRouter):
    replicas = {PRIMARY: [REPLICA]}


class TwoHomes(InstanceRouter):
    """Books, their tags and their items lie in a database of their own."""

    apps = {"lab.Book": "events", "lab.book_tags": "events", "lab.tag": "events"}


@pytest.fixture
def replica(routed_by: Route) -> None:
    """`events` is a replica of `default`."""
    routed_by(WithReplica())


@pytest.fixture
def homes(routed_by: Route) -> None:
    """Books lie in `events`, authors in `default`."""
    routed_by(TwoHomes())


@pytest.mark.usefixtures("replica")
def test_a_read_for_nobody_goes_to_a_replica() -> None:
    assert {each._state.db for each in Book.objects.all()} == {REPLICA}


@pytest.mark.parametrize("alias", [PRIMARY, REPLICA])
@pytest.mark.usefixtures("replica")
def test_related_rows_are_read_where_the_instance_was(alias: str) -> None:
    with statements_by_alias() as sent:
        book = Book.objects.using(alias).prefetch_related("tags").get(pk=1)
        assert book.author is not None
        list(book.author.books.all())
        list(book.items.all())
        book.refresh_from_db()

    assert list(sent) == [alias]


@pytest.mark.usefixtures("replica")
def test_what_was_read_from_a_replica_is_written_to_the_primary() -> None:
    book = Book.objects.using(REPLICA).get(pk=1)
    book.title = "new"

    with statements_by_alias() as sent:
        book.save()
        book.tags.add(3)
        book.items.all().update(note="new")

    assert list(sent) == [PRIMARY]
    assert Book.objects.using(PRIMARY).get(pk=1).title == "new"
    assert Book.objects.using(REPLICA).get(pk=1).title == "events 1"


def test_without_it_what_was_read_from_a_replica_is_written_there(routed_by: Route) -> None:
    routed_by()
    book = Book.objects.using(REPLICA).get(pk=1)

    with statements_by_alias() as sent:
        book.save()

    assert list(sent) == [REPLICA]


@pytest.mark.usefixtures("replica")
def test_rows_of_a_replica_and_of_its_primary_may_be_related() -> None:
    book = Book.objects.using(PRIMARY).get(pk=1)

    book.author = Author.objects.using(REPLICA).get(pk=3)
    book.save()

    assert Book.objects.using(PRIMARY).get(pk=1).author_id == 3


@pytest.mark.usefixtures("replica")
def test_adding_a_row_of_a_replica_in_bulk_is_refused_by_django() -> None:
    author = Author.objects.using(PRIMARY).get(pk=1)
    book = Book.objects.using(REPLICA).get(pk=1)

    with pytest.raises(ValueError, match=r"isn't saved\. Use bulk=False"):
        author.books.add(book)
    author.books.add(book, bulk=False)

    assert Book.objects.using(PRIMARY).get(pk=1).author_id == 1


def test_without_a_router_a_new_row_follows_the_object_of_another_database(
    routed_by: Route,
) -> None:
    routed_by()
    elsewhere = Author.objects.using("events").get(pk=1)

    Book(pk=10, author=elsewhere).save()
    Book.objects.create(pk=11, author=elsewhere)

    assert Book.objects.using("events").filter(pk=10).exists()
    assert Book.objects.using("default").filter(pk=11).exists()


@pytest.mark.usefixtures("homes")
def test_an_object_of_another_home_is_refused_before_anything_is_written() -> None:
    author = Author.objects.get(pk=1)
    assert author._state.db == "default"

    with statements_by_alias() as sent:
        with pytest.raises(ValueError, match="the current database router prevents this relation"):
            Book(pk=10, author=author)
        with pytest.raises(ValueError, match="the current database router prevents this relation"):
            Book.objects.create(pk=10, author=author)

    assert sent == {}


@pytest.mark.usefixtures("homes")
def test_rows_of_another_home_are_read_there_whatever_they_belong_to() -> None:
    book = Book.objects.prefetch_related("tags", "author").get(pk=1)
    assert book.author is not None

    assert book._state.db == "events"
    assert {each._state.db for each in book.tags.all()} == {"events"}
    assert book.author._state.db == "default"


@pytest.mark.usefixtures("homes")
def test_what_sets_a_relation_between_homes_is_refused_unless_it_is_allowed(
    routed_by: Route,
) -> None:
    class Lenient(TwoHomes):
        def allow_relation(self, *_: Any, **__: Any) -> bool:
            return True

    # Django sets the author of each.
    with pytest.raises(ValueError, match="the current database router prevents this relation"):
        list(Author.objects.get(pk=1).books.all())
    routed_by(Lenient())
    books = list(Author.objects.get(pk=1).books.all())

    assert {each._state.db for each in books} == {"events"}


@pytest.mark.usefixtures("homes")
def test_new_rows_are_written_at_home_by_whatever_they_are_made() -> None:
    with statements_by_alias() as sent:
        Book.objects.create(pk=10, author_id=1)
        Book(pk=11, author_id=1).save()
        Book.objects.get(pk=1).tags.create(pk=10)
        Tag.objects.bulk_create([Tag(pk=11)])

    assert list(sent) == ["events"]


@pytest.mark.usefixtures("replica")
def test_rows_of_a_database_that_the_router_does_not_know_stay_there() -> None:
    router = InstanceRouter()

    assert router.db_for_read(Author, instance=book_of("elsewhere")) == "elsewhere"
    assert router.allow_relation(book_of("elsewhere"), book_of("elsewhere")) is True
    assert router.allow_relation(book_of("elsewhere"), book_of("default")) is False


def test_a_choice_of_ones_own_is_given_the_hints() -> None:
    class Chosen(WithReplica):
        def choose(self, aliases: Any, model: Any, **hints: Any) -> str:
            assert model is Book
            return str(aliases[0 if hints.get("operation") == "load" else -1])

    router = Chosen()

    assert router.db_for_read(Book) == REPLICA
    assert router.db_for_read(Book, operation="load") == PRIMARY


@pytest.mark.parametrize(
    ("router", "alias", "expected"),
    [
        (TwoHomes(), "default", [True, False, True]),
        (TwoHomes(), "events", [False, True, False]),
        (TwoHomes(), "sqlite", [False, False, False]),
        (WithReplica(), "default", [True, True, True]),
        (WithReplica(), "events", [False, False, False]),
        (InstanceRouter(apps={"lab": "events"}, default=None), "default", [False, False, None]),
        (InstanceRouter(apps={"lab": "events"}, default=None), "events", [True, True, None]),
    ],
    ids=["home", "other-home", "neither", "primary", "replica", "no-opinion", "one-opinion"],
)
def test_tables_are_made_at_home_and_on_no_replica(
    router: InstanceRouter, alias: str, expected: list[bool | None]
) -> None:
    models = [Author, Book, OrderEvent]
    labels = [(each._meta.app_label, each._meta.model_name) for each in models]

    assert [router.allow_migrate(alias, *each, model=None) for each in labels] == expected


def test_what_it_has_no_opinion_on_is_left_to_others() -> None:
    router = InstanceRouter(apps={"lab": "events"}, default=None)

    assert router.db_for_read(OrderEvent, instance=OrderEvent()) is None
    assert router.db_for_write(OrderEvent) is None
    assert router.allow_relation(OrderEvent(), Item()) is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"apps": {"lab": "evens"}}, r"InstanceRouter names evens, which is no alias"),
        (
            {"replicas": {"default": ["copy"]}},
            r"names copy, which is no alias of DATABASES ",
        ),
        (
            {"apps": {"lab": "events"}, "replicas": {"default": ["events"]}},
            "has events as a replica and as a home",
        ),
    ],
    ids=["home", "replica", "both"],
)
def test_an_alias_that_cannot_be_is_refused(given: dict[str, Any], message: str) -> None:
    router = InstanceRouter(**given)

    with pytest.raises(ImproperlyConfigured, match=message):
        router.allow_migrate("default", "lab")


def book_of(alias: str) -> Book:
    book = Book()
    book._state.db = alias
    return book
