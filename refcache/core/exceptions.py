"""Every error of refcache: one root, one file."""

import copyreg
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from refcache.core.sources import Source


class RefcacheError(Exception):
    """The root of all errors that refcache raises."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Not by a call as Python's own do: `args` is the message, not what `__init__` takes.
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]  # typeshed has not heard of it


class UnknownReference(RefcacheError, LookupError):
    """No reference of this name is registered."""


class InvalidReference(RefcacheError):
    """A declaration cannot work; the system checks say why before it is used."""


class ReservedName(InvalidReference):
    """A declared field has a name that means something else on a snapshot."""


class NotBuiltYet(InvalidReference):
    """A declaration asks for something that a later version will have."""


class InvalidKey(RefcacheError, ValueError):
    """One key cannot be a key of its reference; the other keys of the call are answered."""


class InvalidCondition(RefcacheError, ValueError):
    """`keys_where` or `by` was asked for what the reference cannot be searched by."""


class MissingRows(RefcacheError, LookupError):
    """`on_missing="raise"` was asked for and these keys have no row.

    Args:
        reference: The reference's name.
        keys: The absent keys, in the order they were asked for; at least one.
    """

    def __init__(self, reference: str, keys: list[object]) -> None:
        super().__init__(f"Reference {reference!r} has no row for {_some(keys)}.")
        self.reference = reference
        self.keys = keys


class ReferenceUnavailable(RefcacheError):
    """Neither cache nor database could answer, and the policy allows nothing older.

    Args:
        reference: The reference's name.
        keys: The keys left without an answer; at least one.
    """

    def __init__(self, reference: str, keys: list[object]) -> None:
        super().__init__(
            f"Reference {reference!r} cannot be answered for {_some(keys)}: "
            "the database could not be read. Retry, or see the chained error."
        )
        self.reference = reference
        self.keys = keys


class PerRowLookup(RefcacheError):
    """A row of a page asked for a key that was not gathered with the page."""


class InvalidationError(RefcacheError):
    """A strict write could not set its marker; nothing was written."""


class Unencodable(RefcacheError):
    """A database row holds a value that its column's kind cannot carry."""


class Undecodable(RefcacheError):
    """Bytes are not a payload of this schema."""


class StoreUnavailable(RefcacheError):
    """The store gave no usable answer in time."""


class StoreLeftAlone(StoreUnavailable):
    """The store was not asked: it has failed often enough, or may hold what was replaced."""


class LoadFailed(RefcacheError):
    """The database gave no answer to a load.

    Args:
        source: The `Source` whose rows were asked for.
        keys: Those that are left without an answer; at least one.
    """

    def __init__(self, source: "Source", keys: Sequence[object]) -> None:
        super().__init__(f"The rows of {source.family.reference!r} could not be read.")
        self.source = source
        self.keys = keys


class LoadTimedOut(RefcacheError):
    """The database had not answered when the time for it was up.

    `is_begun` says whether the load goes on in the background.
    """

    def __init__(self, seconds: float, *, is_begun: bool) -> None:
        super().__init__(f"The database has not answered within {seconds:g} s.")
        self.is_begun = is_begun


class Overloaded(RefcacheError):
    """No thread can take the job, nor may it wait for one."""


def _some(keys: list[object], limit: int = 5) -> str:
    shown = ", ".join(repr(key) for key in keys[:limit])
    more = len(keys) - limit
    return f"{shown} and {more} more" if more > 0 else shown
