"""Long lists in slices."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def in_batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """As `itertools.batched`, which Python 3.11 does not have, in lists."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
