"""Long lists in slices."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")

# Of one script call; Redis serves nobody else for some milliseconds. A write's text is a key for
# every schema that is alive.
SCRIPT_KEYS = 500


def in_batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """As `itertools.batched`, which Python 3.11 does not have, in lists."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
