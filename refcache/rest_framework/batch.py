"""What a batch of keys was answered: for whom, and for how long it may be kept."""

from collections.abc import Mapping, Sequence
from typing import Any

from rest_framework.serializers import Serializer

from refcache.core.keys import Key
from refcache.core.staleness import seconds
from refcache.lookup import Lookup
from refcache.reading.planning import Plan
from refcache.rest_framework.representing import representers


class Batch:
    """What was asked, by its spelling, and what became of it."""

    def __init__(self, plan: Plan, keys: Mapping[str, Key], found: Lookup) -> None:
        self._plan, self._keys, self._found = plan, keys, found
        self.invalid = {
            spelling: str(found.errors[key])
            for spelling, key in keys.items()
            if key in found.errors
        }
        self._provenances = {
            spelling: found.provenance(key)
            for spelling, key in keys.items()
            if spelling not in self.invalid
        }
        items = self._provenances.items()
        self.absent = [spelling for spelling, each in items if each.absent]
        self.failed = [spelling for spelling, each in items if each.failed]
        self.stale = [spelling for spelling, each in items if each.stale]

    def body(self, fields: Sequence[str], shower: Serializer[Any]) -> dict[str, Any]:
        """The answer; each value as a `ReferenceField` would show it."""
        represent = representers(self._plan)
        rows = {
            spelling: self._found[self._keys[spelling]]
            for spelling, each in self._provenances.items()
            if not (each.absent or each.failed)
        }
        return {
            "found": {
                spelling: {name: represent[name](row[name], shower) for name in fields}
                for spelling, row in rows.items()
            },
            "absent": self.absent,
            "invalid": self.invalid,
            "failed": self.failed,
            "stale": self.stale,
        }

    def lifetime(self, max_age: float | None) -> str:
        """For how long it may be kept; for *max_age* seconds, if that is given.

        Source:
            RFC 9111, 5.2.2 and RFC 5861. What is left counts from now, and there is no `Age`: a
            cache would take that off once more.
        """
        declared = self._plan.declaration
        seconds_left = int(self._left if max_age is None else max_age)
        if seconds_left < 1:
            return "no-cache"
        windows = {
            "max-age": seconds_left,
            "stale-while-revalidate": int(seconds(declared.staleness.while_revalidate, "")),
            "stale-if-error": int(seconds(declared.staleness.if_error, "")),
        }
        return ", ".join(f"{name}={each}" for name, each in windows.items() if each)

    @property
    def _left(self) -> float:
        """Seconds until the first part of it has passed its TTL."""
        declared = self._plan.declaration
        ttl = {False: declared.ttl, True: declared.negative_ttl}
        left = (ttl[each.absent] - each.age for each in self._provenances.values())
        return min(left, default=declared.ttl)
