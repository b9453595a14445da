"""The one row that the exhaustive model is about: its sources, and what its bytes mean."""

from typing import Any

from refcache.core.keys import family, key_text, schema_id
from refcache.core.pages import Page
from refcache.core.sources import ABSENT, FAILED, Source

NOW = 1_000_000  # ms; time stands still, and what lapses is put into the past
PAST = 1
ROW = 1
GONE = 3  # the version that is no row
UNAVAILABLE = "unavailable"
FAMILY = family(b"", "row")
TEXT = key_text(ROW)


def _encode(row: tuple[Any, ...]) -> bytes:
    return b"%d" % row[0]


def _decode(payload: bytes) -> int:
    return int(payload)


def _wrap(row: tuple[Any, ...]) -> int:
    return int(row[0])


def source(fingerprint: str = "aaaaaaaa", grace: float = 0.0, tolerance: float = 0.0) -> Source:
    return Source(
        FAMILY,
        schema_id(1, fingerprint),
        (),
        _encode,
        _decode,
        _wrap,
        ttl=300.0,
        negative_ttl=30.0,
        tolerance=tolerance,
        grace=grace,
        is_shareable=True,
    )


def version(page: Page) -> int | str:
    """What a reader was given for the row."""
    row = page.rows[ROW]
    if row is FAILED:
        return UNAVAILABLE
    return GONE if row is ABSENT else int(row)
