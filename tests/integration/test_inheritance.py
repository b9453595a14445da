"""Rows that lie in several tables: a write to any of them reaches what is made of them."""

import pytest

from refcache import ReferenceCache
from refcache.reference import Reference
from tests.integration.watching import statements
from tests.testapp.models import Author, Bar, Cafe, Place, Singer, Songwriter

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def songwriters(registry: ReferenceCache) -> Reference:
    registry.register("testapp.Songwriter", ["title", "words", "tune"], name="songwriter")
    return registry["songwriter"]


@pytest.fixture
def ann(songwriters: Reference) -> Songwriter:
    """A songwriter whose entry is warm; her two parents' keys differ."""
    Singer.objects.create(tune="another one's")
    ann = Songwriter.objects.create(title="Ann", words="old", tune="old")
    assert ann.author_id != ann.singer_id
    songwriters.get(ann.pk)
    return ann


def shown(reference: Reference, key: int) -> dict[str, object]:
    found = reference.get(key)
    assert found is not None
    return found.as_dict()


def test_a_save_of_the_first_parent_is_seen(songwriters: Reference, ann: Songwriter) -> None:
    author = Author.objects.get(pk=ann.author_id)

    author.words = "new"
    author.save()

    assert shown(songwriters, ann.pk) == {"title": "Ann", "words": "new", "tune": "old"}


def test_a_save_of_the_second_parent_is_seen(songwriters: Reference, ann: Songwriter) -> None:
    singer = Singer.objects.get(pk=ann.singer_id)

    singer.tune = "new"
    singer.save()

    assert shown(songwriters, ann.pk) == {"title": "Ann", "words": "old", "tune": "new"}


def test_a_save_of_the_child_is_seen_by_both_parents(
    registry: ReferenceCache, ann: Songwriter
) -> None:
    registry.register("testapp.Author", ["words"], name="author")
    registry.register("testapp.Singer", ["tune"], name="singer")
    shown(registry["author"], ann.author_id)
    shown(registry["singer"], ann.singer_id)

    ann.words = ann.tune = "new"
    ann.save()

    assert shown(registry["author"], ann.author_id) == {"words": "new"}
    assert shown(registry["singer"], ann.singer_id) == {"tune": "new"}


@pytest.fixture
def cafes(registry: ReferenceCache) -> Reference:
    registry.register("testapp.Cafe", ["name", "seats"], name="cafe")
    return registry["cafe"]


@pytest.fixture
def bar(cafes: Reference) -> Bar:
    """The bar of a place that is also a cafe, whose entry is warm."""
    cafe = Cafe.objects.create(name="Corner", seats=4)
    bar = Bar(place_ptr=Place.objects.get(pk=cafe.pk), name="Corner", beers=3)
    bar.save()
    cafes.get(cafe.pk)
    return bar


def test_a_save_of_a_sibling_is_seen_where_they_share_a_parent(cafes: Reference, bar: Bar) -> None:
    bar.name = "Square"
    bar.save()

    assert shown(cafes, bar.pk) == {"name": "Square", "seats": 4}


def test_a_save_of_a_sibling_leaves_other_rows_alone(cafes: Reference, bar: Bar) -> None:
    other = Cafe.objects.create(name="Other", seats=2)
    cafes.get(other.pk)

    bar.save()

    with statements() as sent:
        assert cafes.get(other.pk)
    assert sent == []


def test_a_save_of_a_siblings_own_column_leaves_the_cafe_alone(cafes: Reference, bar: Bar) -> None:
    bar.beers = 5
    bar.save(update_fields=["beers"])

    with statements() as sent:
        assert shown(cafes, bar.pk) == {"name": "Corner", "seats": 4}
    assert sent == []
