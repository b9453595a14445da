"""Where an answer was found, and why there: what provenance tells."""

from enum import Enum, StrEnum
from typing import NamedTuple


class Why(StrEnum):
    """The reason for an answer's tier, or for serving an old value; the gravest comes last."""

    FRESH = "fresh"
    MISS = "miss"  # the store had nothing, or nothing to be trusted
    TRANSACTION = "transaction"  # one that may not fill, as it may not see the latest commit
    WRITTEN = "being written"
    BUSY = "another's load took too long"
    STORE_DOWN = "store unavailable"
    REVALIDATING = "past its TTL, being refreshed"
    LOAD_SLOW = "past its TTL, the load was slow"
    LOAD_FAILED = "past its TTL, the load failed"


GRAVITY = {why: place for place, why in enumerate(Why)}
STALE = frozenset({Why.REVALIDATING, Why.LOAD_SLOW, Why.LOAD_FAILED})


class Tier(Enum):
    """Where an answer was found; the farthest comes last."""

    REDIS = "redis"
    LOCAL = "local"
    DATABASE = "database"


class Trace(NamedTuple):
    """Where one entry of an answer was found, its age, and why there."""

    tier: Tier
    age_ms: int
    why: Why
