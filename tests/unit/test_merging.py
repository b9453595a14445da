"""What several writes touch, put together for one call."""

import pytest

from refcache.core.keys import family
from refcache.core.writes import Touched
from refcache.writing.invalidation import merge

CUSTOMERS, DEVICES = family(b"", "customer"), family(b"", "device")


def test_each_text_is_named_once_in_the_order_of_its_first_write() -> None:
    touched = [Touched(CUSTOMERS, (b"%d" % (number % 700),)) for number in range(3_000)]

    assert merge(touched) == [
        Touched(CUSTOMERS, tuple(b"%d" % number for number in range(700))),
    ]


def test_references_stand_once_in_the_order_of_their_first_write() -> None:
    touched = [
        Touched(DEVICES, (b"2", b"1")),
        Touched(CUSTOMERS, (b"7",)),
        Touched(DEVICES, (b"3", b"2")),
        Touched(CUSTOMERS, ()),
    ]

    assert merge(touched) == [
        Touched(DEVICES, (b"2", b"1", b"3")),
        Touched(CUSTOMERS, (b"7",)),
    ]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_that_touches_all_rows_makes_the_whole_do_so(place: int) -> None:
    touched = [Touched(CUSTOMERS, (b"1",), whole=place == each) for each in range(3)]

    assert merge([*touched, Touched(DEVICES, (b"1",))]) == [
        Touched(CUSTOMERS, (b"1",), whole=True),
        Touched(DEVICES, (b"1",)),
    ]


def test_nothing_touches_nothing() -> None:
    assert merge([]) == []
