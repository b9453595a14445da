"""Durations, and how long past its TTL an answer is kept."""

from datetime import timedelta
from typing import Any

import pytest

from refcache import InvalidReference, Staleness
from refcache.core.staleness import seconds


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        (0, 0.0),
        (1.5, 1.5),
        (300, 300.0),
        (timedelta(0), 0.0),
        (timedelta(minutes=2, milliseconds=500), 120.5),
    ],
    ids=str,
)
def test_a_duration_is_float_seconds(duration: float | timedelta, expected: float) -> None:
    assert seconds(duration, "ttl") == expected
    assert type(seconds(duration, "ttl")) is float


@pytest.mark.parametrize(
    "duration",
    [-1, -0.1, timedelta(seconds=-1), float("inf"), float("nan"), True, None, "5", [5]],
    ids=repr,
)
def test_anything_else_is_refused_by_name(duration: Any) -> None:
    with pytest.raises(InvalidReference) as caught:
        seconds(duration, "negative_ttl")

    assert f"negative_ttl={duration!r}" in str(caught.value)


def test_nothing_is_tolerated_unless_it_is_declared() -> None:
    assert Staleness() == Staleness(while_revalidate=0, if_error=0)
    assert Staleness().longest == 0.0


@pytest.mark.parametrize(
    ("staleness", "longest"),
    [
        (Staleness(while_revalidate=60, if_error=3600), 3600.0),
        (Staleness(while_revalidate=60), 60.0),
        (Staleness(if_error=timedelta(hours=1)), 3600.0),
    ],
    ids=["both", "revalidate", "error"],
)
def test_an_entry_is_kept_for_the_longer_of_the_two(staleness: Staleness, longest: float) -> None:
    assert staleness.longest == longest


def test_durations_are_equal_however_they_are_written() -> None:
    assert Staleness(if_error=timedelta(minutes=1)) == Staleness(if_error=60)
    assert hash(Staleness(if_error=timedelta(minutes=1))) == hash(Staleness(if_error=60))


@pytest.mark.parametrize("name", ["while_revalidate", "if_error"])
def test_a_wrong_duration_is_refused_by_name(name: str) -> None:
    with pytest.raises(InvalidReference, match=f"{name}=-1"):
        Staleness(**{name: -1})
