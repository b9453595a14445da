"""What `using(alias).prefetch_related(...)` does, by router: the matrix of docs/routing.md."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from refcache.routing import InstanceRouter
from tests.routing.models import Author, Book, Item
from tests.routing.routers import (
    PRIMARY,
    REPLICA,
    ByModel,
    MindsInstance,
    ReadsPrimary,
    ReadsReplica,
)

pytestmark = [
    pytest.mark.django_db(databases=["default", "events"]),
    pytest.mark.usefixtures("lab"),
]

PAGE = Path(__file__).parents[2] / "docs" / "routing.md"
HEADING = "## With a router that ignores the hint"


class CorrectRouter(InstanceRouter):
    replicas = {PRIMARY: [REPLICA]}


ROUTERS: dict[str, list[Any]] = {
    "none, or one without an opinion": [],
    "reads from `default`": [ReadsPrimary()],
    "reads from `replica`": [ReadsReplica()],
    "reads and writes where the instance is": [MindsInstance()],
    "`Author` in `default`, no opinion on others": [ByModel()],
    "`InstanceRouter`": [CorrectRouter()],
}


def page_rows() -> dict[str, list[str]]:
    """The cells of the page's matrix, by router."""
    section = PAGE.read_text().split(f"\n{HEADING}\n")[1].split("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in re.findall(r"(?m)^\|.*\|$", section)]
    return {name: cells for name, *cells in rows[2:]}


def prefetched() -> Author:
    (book,) = Book.objects.using(REPLICA).filter(pk=1).prefetch_related("author")
    assert book.author is not None
    return book.author


def prefetched_back() -> Book:
    (author,) = Author.objects.using(REPLICA).filter(pk=2).prefetch_related("books")
    return author.books.all()[0]


def prefetched_generic() -> Any:
    (item,) = Item.objects.using(REPLICA).filter(pk=1).prefetch_related("content_object")
    return item.content_object


def lazy() -> Author:
    author = Book.objects.using(REPLICA).get(pk=1).author
    assert author is not None
    return author


def selected() -> Author:
    author = Book.objects.using(REPLICA).select_related("author").get(pk=1).author
    assert author is not None
    # Which says where the row was read; and its text says where the row lies.
    assert author.name == f"{author._state.db} 2"
    return author


def saved() -> Book:
    book = Book.objects.using(REPLICA).get(pk=1)
    book.save()
    return book


WAYS: list[Callable[[], Any]] = [
    prefetched,
    prefetched_back,
    prefetched_generic,
    lazy,
    selected,
    saved,
]


@pytest.mark.parametrize("router", ROUTERS)
def test_the_matrix_is_as_the_page_has_it(router: str, routed_by: Callable[..., None]) -> None:
    routed_by(*ROUTERS[router])

    seen = [way()._state.db for way in WAYS]

    # The page calls the alias what it stands for.
    shown = [cell.replace("replica", REPLICA).strip("*") for cell in page_rows()[router]]
    assert seen == shown


def test_the_page_has_no_other_routers() -> None:
    assert list(page_rows()) == list(ROUTERS)
