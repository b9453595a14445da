"""A caching lookup layer for references that cross a database boundary."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from refcache.core.exceptions import (
        InvalidationError,
        InvalidCondition,
        InvalidKey,
        InvalidReference,
        MissingRows,
        PerRowLookup,
        RefcacheError,
        ReferenceUnavailable,
        UnknownReference,
    )
    from refcache.core.snapshots import Snapshot
    from refcache.core.staleness import Staleness
    from refcache.lookup import Lookup, Provenance
    from refcache.querysets import ReferenceManager, ReferenceQuerySet
    from refcache.reference_to import ReferenceTo
    from refcache.registry import ReferenceCache, references
    from refcache.signals import reference_changed

# Handed on when they are asked for, so that `import refcache` loads no model and reads no setting.
_PLACES = {
    "InvalidCondition": "refcache.core.exceptions",
    "InvalidKey": "refcache.core.exceptions",
    "InvalidReference": "refcache.core.exceptions",
    "InvalidationError": "refcache.core.exceptions",
    "Lookup": "refcache.lookup",
    "Provenance": "refcache.lookup",
    "MissingRows": "refcache.core.exceptions",
    "PerRowLookup": "refcache.core.exceptions",
    "RefcacheError": "refcache.core.exceptions",
    "ReferenceCache": "refcache.registry",
    "ReferenceManager": "refcache.querysets",
    "ReferenceQuerySet": "refcache.querysets",
    "ReferenceTo": "refcache.reference_to",
    "ReferenceUnavailable": "refcache.core.exceptions",
    "Snapshot": "refcache.core.snapshots",
    "Staleness": "refcache.core.staleness",
    "UnknownReference": "refcache.core.exceptions",
    "reference_changed": "refcache.signals",
    "references": "refcache.registry",
}

__all__ = [
    "InvalidCondition",
    "InvalidKey",
    "InvalidReference",
    "InvalidationError",
    "Lookup",
    "MissingRows",
    "PerRowLookup",
    "Provenance",
    "RefcacheError",
    "ReferenceCache",
    "ReferenceManager",
    "ReferenceQuerySet",
    "ReferenceTo",
    "ReferenceUnavailable",
    "Snapshot",
    "Staleness",
    "UnknownReference",
    "reference_changed",
    "references",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
