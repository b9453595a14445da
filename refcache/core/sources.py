"""Where one kind of entries comes from: rows of a model by primary key, or an index to them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

from refcache.core.keys import Family, Key, index_text, key_text
from refcache.core.reasons import Why

MOST_CHECKED = 4096  # rows per source; at some 500 bytes each
MOST_BYTES = 2 << 20  # of their entries: a list of keys has up to 1 MiB, and ten times that decoded


class NoRow(Enum):
    """An answer that is no row: there is none, or nobody could say."""

    ABSENT = 0
    FAILED = 1


ABSENT, FAILED = NoRow.ABSENT, NoRow.FAILED


class Checked(NamedTuple):
    """The bytes of a value that this process has checked and decoded before."""

    raw: bytes
    until: bytes
    row: Any


class Memory:
    """What was checked, by entry key, of one epoch: another epoch begins with nothing."""

    def __init__(self) -> None:
        # One value, so that no thread meets the rows of one epoch under another.
        self._current: tuple[bytes, dict[bytes, Checked]] = (b"", {})
        self._bytes = 0  # More or less: threads do not wait for each other here.

    @property
    def rows(self) -> dict[bytes, Checked]:
        return self._current[1]

    def of(self, head: bytes) -> dict[bytes, Checked]:
        """The rows whose entries begin with *head*: their format, state and epoch."""
        known_head, rows = self._current
        if known_head != head or len(rows) >= MOST_CHECKED or self._bytes >= MOST_BYTES:
            rows = {}
            self._current = (head, rows)
            self._bytes = 0
        return rows

    def keep(self, head: bytes, entry_key: bytes, checked: Checked) -> None:
        self.of(head)[entry_key] = checked
        self._bytes += len(checked.raw)


@dataclass(slots=True)
class Pace:
    """How the last loads went.

    `seconds` is what the last one took that succeeded, 0.0 where there was none; `trouble` is what
    was wrong with the last one.
    """

    seconds: float = 0.0
    trouble: Why | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """One kind of entries of a reference in this process's schema.

    Args:
        family: The reference that they belong to, and its epoch.
        schema: From `keys.schema_id`.
        index: The key fields of an index source; empty for the rows themselves.
        encode: A database row to a payload; raises `Unencodable`.
        decode: A payload to what readers get; raises `Undecodable`.
        wrap: A database row to what readers get, for a row that cannot be encoded.
        ttl: Seconds for which a value is fresh.
        negative_ttl: Seconds for which an absence is; 0: absences are not stored.
        tolerance: Seconds for which an entry is kept past its TTL.
        grace: Seconds after a write in which fills read the primary; 0 where they always do.
        is_shareable: Whether what readers get can be given to several: nobody can change it.
        origin: What the loader needs to know; none of the core's business.
    """

    family: Family
    schema: bytes
    index: tuple[str, ...]
    encode: Callable[[tuple[Any, ...]], bytes]
    decode: Callable[[bytes], Any]
    wrap: Callable[[tuple[Any, ...]], Any]
    ttl: float
    negative_ttl: float
    tolerance: float = 0.0
    grace: float = 0.0
    is_shareable: bool = False
    origin: Any = None
    memory: Memory = field(init=False, default_factory=Memory)
    pace: Pace = field(init=False, default_factory=Pace)
    head: bytes = field(init=False)
    epoch_key: bytes = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "head", self.family.head(self.schema))
        object.__setattr__(self, "epoch_key", self.family.epoch_key)

    def entry_keys(self, keys: Sequence[Key]) -> list[bytes]:
        head = self.head
        if self.index:
            return [head + index_text(self.index, key) for key in keys]
        spell = head.replace(b"%", b"%%") + b"%d"
        return [
            spell % key if type(key) is int else head + key_text(key)  # Most keys are integers.
            for key in keys
        ]
