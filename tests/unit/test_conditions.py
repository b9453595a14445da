"""Conditions: the same lookups are one list of keys, and what cannot be asked says why."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from django.db import models
from django.utils.translation import gettext_lazy

from refcache.core.exceptions import InvalidCondition
from refcache.core.keys import key_text
from refcache.reading.conditions import condition
from tests.testapp.models import Company, Customer

FIELDS: dict[str, Any] = {
    name: Customer._meta.get_field(name.partition("__")[0]) for name in ("name", "tier", "company")
} | {"company__name": Customer._meta.get_field("name")}


def asked(**lookups: Any) -> str:
    return condition(lookups, FIELDS).text


def test_the_order_of_the_lookups_does_not_matter() -> None:
    assert condition({"tier": "a", "name": "b"}, FIELDS) == condition(
        {"name": "b", "tier": "a"}, FIELDS
    )


def test_a_set_of_values_has_no_order() -> None:
    assert asked(tier__in=["b", "a", "b"]) == asked(tier__in={"a", "b"})
    assert asked(name__range=["b", "a"]) != asked(name__range=["a", "b"])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"tier": "7"}, {"tier": 7}),
        ({"tier__in": ["a", "b,c"]}, {"tier__in": ["a,b", "c"]}),
        ({"tier": "a", "name": "b"}, {"tier": 'a","name":"b'}),
        ({"tier": None}, {"tier": "null"}),
        ({"tier": "a"}, {"tier__iexact": "a"}),
        ({"tier": "ä" * 300}, {"tier": "ä" * 301}),
    ],
)
def test_other_lookups_are_other_lists(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert key_text(condition(one, FIELDS)) != key_text(condition(other, FIELDS))


def test_a_long_condition_stands_in_redis_by_its_digest() -> None:
    long = condition({"tier__in": [f"tier {number}" for number in range(1000)]}, FIELDS)

    assert len(key_text(long)) < 100
    assert long.lookups == {"tier__in": [f"tier {number}" for number in range(1000)]}


class Tier(models.TextChoices):
    GOLD = "gold"


@pytest.mark.parametrize(
    ("value", "given"),
    [
        (Tier.GOLD, "gold"),
        (gettext_lazy("gold"), "gold"),
        (Company(pk=7), None),
        (Decimal("1.50"), Decimal("1.50")),
        (timedelta(days=-1), timedelta(days=-1)),
        (None, None),
        (True, True),
    ],
)
def test_filter_is_given_the_values_themselves(value: object, given: object) -> None:
    if isinstance(value, Company):
        assert condition({"company": value}, FIELDS).lookups == {"company": 7}
    else:
        assert condition({"tier": value}, FIELDS).lookups == {"tier": given}


def test_one_moment_is_one_list_whatever_its_zone() -> None:
    moment = datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))

    assert asked(tier=moment) == asked(tier=moment.astimezone(UTC))
    assert asked(tier=moment) != asked(tier=str(moment))


def test_equal_values_of_several_types_stay_apart() -> None:
    assert asked(tier__in=[1, True, 1.0]) != asked(tier__in=[1])


@pytest.mark.parametrize(
    ("lookups", "told"),
    [
        ({}, "at least one condition on company, company__name, name, tier"),
        ({"email": "a"}, "'email' is no declared field"),
        ({"tiers": "a"}, "'tiers' is no declared field"),
        ({"company__code": "a"}, "'code' is no lookup of 'company'"),
        ({"tier__iregex": "("}, "only the database can say whether a pattern is one"),
        ({"tier__never": "a"}, "'never' is no lookup of 'tier'"),
        ({"tier__lower__exact": "a"}, "is no lookup of 'tier'"),
        ({"tier__in": "gold"}, "give a list of values"),
        ({"tier": object()}, "tier=object: give a number, a text"),
        ({"tier": models.F("name")}, "tier=F: give a number"),
        ({"tier__in": [b"a"]}, "tier__in=bytes: give a number"),
        ({"tier": {"a": 1}}, "tier=dict"),
        ({"company": "x"}, "company='x' cannot be compared with 'company' (ForeignKey): "),
        ({"company__in": [1, "x"]}, "cannot be compared with 'company'"),
        ({"tier__isnull": "no"}, "tier__isnull='no': give True or False"),
    ],
)
def test_what_cannot_be_asked_says_why(lookups: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidCondition) as caught:
        condition(lookups, FIELDS)

    assert told in str(caught.value)
