"""`RouterTrace`: what routers were asked and why, and which reads left their parents' alias."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import models, router
from django.http import HttpRequest, HttpResponse
from django.urls import path

from refcache.routing import Decision, RouterTrace, Statement, TracingRouter, prefetch_using
from tests.routing.models import Author, Book, Item, Tag
from tests.routing.routers import PRIMARY, REPLICA, MindsInstance, ReadsPrimary

pytestmark = [
    pytest.mark.django_db(databases=["default", "events"]),
    pytest.mark.usefixtures("lab"),
]

Route = Callable[..., None]
HERE = Path(__file__).name


class Asked(ReadsPrimary):
    """Counts what it is asked."""

    count = 0

    def db_for_read(self, model: type[models.Model], **hints: Any) -> str | None:
        type(self).count += 1
        return super().db_for_read(model, **hints)


@pytest.fixture
def ignored(routed_by: Route) -> None:
    routed_by(TracingRouter(), ReadsPrimary())


def author_names(request: HttpRequest) -> HttpResponse:
    books = Book.objects.using(REPLICA).order_by("pk")[:2]
    names = [book.author.name for book in books if book.author]
    return HttpResponse(f"{request.user if hasattr(request, 'user') else ''}{names}")


def report() -> None:
    list(Book.objects.using(REPLICA).prefetch_related("tags"))


def tidy_report() -> None:
    list(Book.objects.using(REPLICA).prefetch_related(*prefetch_using(REPLICA, "tags")))


urlpatterns = [path("books/", author_names)]


@pytest.mark.usefixtures("ignored")
def test_a_decision_has_its_hints_its_answer_and_its_line() -> None:
    book = Book.objects.using(REPLICA).get(pk=1)

    with RouterTrace() as trace:
        book.author  # noqa: B018 - it is read

    (decision,) = trace.decisions
    assert (decision.operation, decision.model, decision.answer) == ("read", "lab.Author", PRIMARY)
    assert decision.hints == {"instance": "lab.Book(pk=1) of 'events'"}
    assert decision.place is not None
    assert Path(decision.place.file).name == HERE
    assert decision.place.function == "test_a_decision_has_its_hints_its_answer_and_its_line"


@pytest.mark.usefixtures("ignored")
def test_a_read_that_leaves_the_alias_of_its_instance_is_flagged() -> None:
    book = Book.objects.using(REPLICA).get(pk=1)

    with RouterTrace() as trace:
        book.author  # noqa: B018 - it is read

    assert [each.parent for each in trace.leaving] == [REPLICA]
    assert "read     lab.Author [instance=lab.Book(pk=1) of 'events'] -> default" in str(trace)
    assert "!! leaves 'events'" in str(trace)


@pytest.mark.usefixtures("ignored")
@pytest.mark.parametrize(("model", "lookup"), [(Book, "author"), (Item, "content_object")])
def test_a_prefetch_that_leaves_is_flagged_also_without_a_hint(model: Any, lookup: str) -> None:
    with RouterTrace() as trace:
        list(model.objects.using(REPLICA).filter(pk=1).prefetch_related(lookup))

    decision, statement = trace.leaving
    assert isinstance(decision, Decision)
    assert isinstance(statement, Statement)
    assert (decision.parent, decision.answer) == (REPLICA, PRIMARY)
    assert (statement.parent, statement.alias) == (REPLICA, PRIMARY)


@pytest.mark.usefixtures("ignored")
def test_a_queryset_that_names_another_database_is_flagged_though_nobody_was_asked() -> None:
    with RouterTrace() as trace:
        list(Book.objects.using(REPLICA).prefetch_related(*prefetch_using(PRIMARY, "author")))

    (statement,) = trace.leaving
    assert isinstance(statement, Statement)
    assert statement.alias == PRIMARY


@pytest.mark.usefixtures("ignored")
def test_nothing_is_flagged_where_all_is_read_from_one_alias() -> None:
    with RouterTrace() as trace:
        tidy_report()

    assert trace.leaving == []
    assert [each.alias for each in trace.statements] == [REPLICA, REPLICA]


def test_answers_are_those_without_a_trace_and_each_router_is_asked_once(
    routed_by: Route,
) -> None:
    routed_by(TracingRouter(), Asked())
    book = Book.objects.using(REPLICA).get(pk=1)
    Asked.count = 0

    with RouterTrace() as trace:
        assert router.db_for_read(Author, instance=book) == PRIMARY
        assert router.db_for_write(Author, instance=book) == PRIMARY
        assert router.allow_relation(book, Author()) is False

    assert Asked.count == 1
    assert [each.answer for each in trace.decisions] == [PRIMARY, PRIMARY, False]
    assert [each.operation for each in trace.decisions] == ["read", "write", "relation"]


@pytest.mark.parametrize("routers", [[], [ReadsPrimary()]], ids=["no-other", "another"])
def test_without_a_trace_the_router_has_no_opinion(routed_by: Route, routers: Any) -> None:
    routed_by(TracingRouter(), *routers)
    book = Book.objects.using(REPLICA).get(pk=1)

    assert router.db_for_read(Author, instance=book) == (PRIMARY if routers else REPLICA)
    assert TracingRouter().db_for_read(Author) is None
    assert TracingRouter().allow_relation(book, book) is None


def test_what_django_decides_itself_is_recorded(routed_by: Route) -> None:
    routed_by(TracingRouter())
    book = Book.objects.using(REPLICA).get(pk=1)

    with RouterTrace() as trace:
        book.save()

    made = [each for each in trace.decisions if each.model == "lab.Book"]
    assert [(each.operation, each.answer) for each in made] == [("write", REPLICA)]
    # What is written elsewhere is for the router to know: only reads are flagged.
    assert trace.leaving == []


@pytest.mark.parametrize("routers", [[], [MindsInstance(), TracingRouter()]], ids=["none", "last"])
def test_a_trace_says_what_is_missing(routed_by: Route, routers: Any) -> None:
    routed_by(*routers)

    with (
        pytest.raises(
            ImproperlyConfigured, match=r'DATABASE_ROUTERS = \["refcache.routing.TracingRouter", '
        ),
        RouterTrace(),
    ):
        pass


@pytest.mark.usefixtures("ignored")
def test_nothing_is_recorded_after_the_block_whatever_ended_it() -> None:
    trace = RouterTrace()

    with pytest.raises(KeyError), trace:
        raise KeyError
    Tag.objects.count()

    assert trace.steps == []


@pytest.mark.usefixtures("ignored")
def test_a_trace_within_another_is_told_as_well() -> None:
    with RouterTrace() as outer, RouterTrace() as inner:
        Tag.objects.count()

    assert len(outer.steps) == 2
    assert outer.steps == inner.steps


@pytest.mark.usefixtures("ignored")
def test_what_was_asked_again_and_again_is_shown_once() -> None:
    with RouterTrace() as trace:
        for _ in range(3):
            Tag.objects.filter(pk=1).exists()

    assert len(trace.steps) == 6
    with RouterTrace() as trace:
        for book in Book.objects.using(REPLICA).prefetch_related("tags"):
            list(book.tags.all())
    assert len(trace.decisions) > str(trace).count("read ")


@pytest.mark.usefixtures("ignored")
def test_the_command_traces_a_path(settings: Any, capsys: pytest.CaptureFixture[str]) -> None:
    settings.ROOT_URLCONF = __name__

    call_command("refcache_routes", "/books/")

    out = capsys.readouterr().out
    assert out.count("!! leaves 'events'") == 2
    assert f"{HERE}:" in out
    assert "in author_names" in out
    assert out.splitlines()[-1] == (
        "GET /books/ gave 200; 2 decisions, 3 statements; 2 of them marked."
    )


@pytest.mark.usefixtures("ignored")
def test_the_command_traces_a_function(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("refcache_routes", f"{__name__}.report")

    out = capsys.readouterr().out
    assert "in report" in out
    assert "sql      default: SELECT" in out


@pytest.mark.usefixtures("ignored")
def test_the_command_can_fail_where_a_read_leaves() -> None:
    call_command("refcache_routes", f"{__name__}.tidy_report", "--fail")

    with pytest.raises(CommandError, match="3 decisions and statements leave"):
        call_command("refcache_routes", f"{__name__}.report", "--fail")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("nothing", "'nothing' is neither a path"),
        (f"{__name__}.nothing", "nothing' cannot be called: "),
        (f"{__name__}.HERE", "HERE' cannot be called: "),
    ],
    ids=["no-path", "missing", "no-function"],
)
@pytest.mark.usefixtures("ignored")
def test_the_command_says_what_it_cannot_trace(target: str, message: str) -> None:
    with pytest.raises(CommandError, match=message):
        call_command("refcache_routes", target)


def test_the_command_says_what_is_missing(routed_by: Route) -> None:
    routed_by(ReadsPrimary())

    with pytest.raises(CommandError, match=r"refcache\.routing\.TracingRouter"):
        call_command("refcache_routes", "/books/")


@pytest.mark.usefixtures("ignored")
def test_the_command_asks_as_a_user(
    settings: Any, django_user_model: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.ROOT_URLCONF = __name__

    with pytest.raises(CommandError, match="There is no user 'ann'"):
        call_command("refcache_routes", "/books/", "--user", "ann")
    assert capsys.readouterr().out == ""
    assert not django_user_model.objects.exists()
