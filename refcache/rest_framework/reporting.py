"""What a response's headers say of the references that it shows: their age, and what is stale."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from refcache.core.keys import Key
    from refcache.lookup import Lookup, Provenance

AGE = "Age"
STALE = "Refcache-Stale"


class _Trouble(NamedTuple):
    """What is told together: one reference's answers that are there, or not, for one reason."""

    reference: str
    why: str
    failed: bool


class Report:
    """The provenance of the references that one response shows."""

    def __init__(self) -> None:
        self._provenances: dict[tuple[str, Key], Provenance] = {}

    def add(self, reference: str, found: "Lookup") -> None:
        """Note the answers to one read; they take the place of earlier ones for the same keys."""
        for key, provenance in found.provenances().items():
            self._provenances[reference, key] = provenance

    def headers(self) -> Mapping[str, str]:
        """`Age` where there are answers; `Refcache-Stale` where some are stale or failed.

        Source:
            `Age`: RFC 9111, 5.1; here the whole seconds of the oldest answer. `Refcache-Stale`
            takes the place of `Warning: 110`, which RFC 9111, 5.5 has made obsolete. It is a List
            of RFC 9651, whose members are Strings: a reference's name need not be a Token.
        """
        answers = self._provenances.values()
        if not answers:
            return {}
        oldest = max(each.age for each in answers)
        return {AGE: str(int(oldest)), **self._stale()}

    def _stale(self) -> dict[str, str]:
        ages: dict[_Trouble, list[float]] = {}
        for (reference, _), each in self._provenances.items():
            if each.stale or each.failed:
                trouble = _Trouble(reference, each.why, each.failed)
                ages.setdefault(trouble, []).append(each.age)
        if not ages:
            return {}
        return {STALE: ", ".join(_member(trouble, ages[trouble]) for trouble in sorted(ages))}


def _member(trouble: _Trouble, ages: list[float]) -> str:
    state = "failed" if trouble.failed else f"age={int(max(ages))}"
    # Names and reasons have no quote, no backslash and nothing beyond ASCII: Strings as they are.
    return f'"{trouble.reference}";n={len(ages)};{state};why="{trouble.why}"'
