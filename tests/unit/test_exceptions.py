"""Errors travel: test runners, queues and pools of processes pickle and copy what was raised."""

import copy
import pickle
from collections.abc import Callable

import pytest

from refcache.core import exceptions
from refcache.core.exceptions import (
    LoadTimedOut,
    MissingRows,
    RefcacheError,
    ReferenceUnavailable,
)
from refcache.reading.columns import UnsupportedField

Again = Callable[[RefcacheError], RefcacheError]

OF_A_TEXT = [
    each
    for each in vars(exceptions).values()
    if isinstance(each, type) and issubclass(each, RefcacheError) and "__init__" not in vars(each)
]
ERRORS = [
    MissingRows("customer", [1, "two"]),
    ReferenceUnavailable("customer", [1, 2, 3, 4, 5, 6]),
    LoadTimedOut(1.5, is_begun=True),
    *(each("What was wrong.") for each in (*OF_A_TEXT, UnsupportedField)),
]


def pickled(error: RefcacheError) -> RefcacheError:
    again: RefcacheError = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    return again


@pytest.mark.parametrize("again", [pickled, copy.copy, copy.deepcopy])
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_is_the_same_after_it_was_pickled_or_copied(
    error: RefcacheError, again: Again
) -> None:
    error.add_note("in the third batch")

    other = again(error)

    assert other is not error
    assert type(other) is type(error)
    assert str(other) == str(error)
    assert vars(other) == vars(error)
