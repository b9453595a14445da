"""What the protocol asks of the outside, and what it gets back: plain values.

A store performs `Read`, `Claim`, `Fill`, `Mark` and `Release`, each in one round trip; a loader
performs `Load` and `MayFill`; the backend itself the rest.
"""

from collections.abc import Generator, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from refcache.core.keys import Key

if TYPE_CHECKING:
    from concurrent.futures import Future

    from refcache.core.sources import Source


class Grant(Enum):
    """A claim's reply for one key, where it is not the entry that stands there."""

    REFUSED = 0  # the epoch is marked or the schema too young: read the database, never fill
    LEASE = 1
    PRIMARY_LEASE = 2  # over a tombstone: the load must read the primary


class Read(NamedTuple):
    """Read entries."""

    entry_keys: Sequence[bytes]


class Entries(NamedTuple):
    """The reply to `Read`, in its order; `now` in ms; the server's `incarnation`, 0: not known."""

    raws: Sequence[bytes | None]
    now: int
    incarnation: int = 0


class ClaimGroup(NamedTuple):
    """The keys of one schema; none at all only announces the schema."""

    epoch_key: bytes
    schema: bytes
    entry_keys: Sequence[bytes]
    keep: int  # ms for which the schema stays alive unseen
    grace_ms: int = 0  # after a write, in which fills read the primary; 0: they always do


class Claim(NamedTuple):
    """Ask for a lease on every key that nobody holds and that has no fresh value.

    `witnesses` maps an entry key to the `rules.witness` of a value that the caller has seen and
    does not trust; `refresh` asks for fresh values too.
    """

    groups: Sequence[ClaimGroup]
    token: bytes
    fresh_epoch: bytes
    lease_ms: int
    witnesses: Mapping[bytes, bytes]
    refresh: bool = False


class Claimed(NamedTuple):
    """The reply to `Claim`: per group the epoch entry as it now is, and per key the answer."""

    now: int
    epochs: Sequence[bytes]
    replies: Sequence[Sequence[Grant | bytes]]


class FillItem(NamedTuple):
    """An entry to store for `keep_ms`; empty bytes give the lease back."""

    entry_key: bytes
    raw: bytes
    keep_ms: int


class Fill(NamedTuple):
    """Store each entry whose key still holds the token."""

    token: bytes
    items: Sequence[FillItem]


class Filled(NamedTuple):
    """The reply to `Fill`: per item whether the lease stood."""

    now: int
    stored: Sequence[bool]


class WriteGroup(NamedTuple):
    """The rows of one reference in every live schema; `whole` means all its rows."""

    epoch_key: bytes
    schemas: tuple[bytes, ...]
    entry_keys: Sequence[bytes]
    whole: bool = False
    grace_ms: int = 0


class Mark(NamedTuple):
    """Add a token to the marker of each key, whatever stands there."""

    groups: Sequence[WriteGroup]
    token: bytes
    fresh_epoch: bytes
    timeout_ms: int


class Release(NamedTuple):
    """Take the token out; the last one out deletes the entry or leaves a tombstone."""

    groups: Sequence[WriteGroup]
    token: bytes
    fresh_epoch: bytes


class Written(NamedTuple):
    """The reply to `Mark` and `Release`.

    `outdated` is None where it was done; else nothing was changed, and it holds the schemas that
    are alive, per group.
    """

    now: int
    outdated: Sequence[tuple[bytes, ...]] | None = None


class LoadRequest(NamedTuple):
    """Rows of one source; `primary` forbids a replica."""

    source: "Source"
    keys: Sequence[Key]
    primary: bool


class Load(NamedTuple):
    """Read rows from the database, one query per source and chunk.

    Args:
        requests: At least one.
        is_shared: Others of this process who want the same rows may join it until it begins.
        seconds: After which it has failed; None: it may take for ever.
    """

    requests: Sequence[LoadRequest]
    is_shared: bool = False
    seconds: float | None = None


class Loaded(NamedTuple):
    """The reply to `Load`, per request.

    Rows by key, absent ones left out; whether the statement saw the latest commit, so that its
    rows may be stored; and the keys that could not be read, with the error.
    """

    rows: Sequence[Mapping[Key, tuple[Any, ...]]]
    storable: Sequence[bool]
    failures: Sequence[Mapping[Key, Exception]]


class Turn(NamedTuple):
    """Wait for what another caller of this process will say.

    The reply is the future's result, which is never an error.

    Args:
        future: It cannot be cancelled, so that whoever gives up waiting breaks nobody else.
        seconds: At most; then `TimeoutError` is raised. None: as long as it takes.
    """

    future: "Future[Any]"
    seconds: float | None


class Detach(NamedTuple):
    """Perform *steps* beside the caller, who hears their result if it comes within *seconds*.

    Else `LoadTimedOut` is thrown; what has begun goes on to its end. `source` is what they read,
    or a part of it.
    """

    steps: "Generator[Operation, Any, Any]"
    seconds: float | None
    source: "Source"


class Refresh(NamedTuple):
    """Load anew, in the background, what is old or soon will be.

    Args:
        keys: By the references' names.
        horizon_ms: How soon.
    """

    keys: Mapping[str, Sequence[Key]]
    horizon_ms: int


class MayFill(NamedTuple):
    """Ask, per source, whether what is loaded here and now may be stored."""

    sources: Sequence["Source"]


class Wait(NamedTuple):
    """Let others go on for `seconds`."""

    seconds: float


Operation = Read | Claim | Fill | Mark | Release | Load | Turn | Detach | Refresh | MayFill | Wait
