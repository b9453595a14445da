"""Rows in this process for the time in which the store cannot be reached.

They shield the database, and only as far as old values are tolerated: nobody tells of other
processes' writes now. This process's own writes drop them.
"""

import threading
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from refcache.core.keys import Key
from refcache.core.sources import Source

MOST = 4096  # rows per source
LONG = 2048  # bytes of an entry that count as one row: a list of keys may have 1 MiB


class Copy(NamedTuple):
    """A row, and when it was last known to be current (seconds of a monotonic clock)."""

    row: Any
    known_at: float


class Seen(NamedTuple):
    """A page that was asked of the store: its keys, when, and how often this process had written.

    `stored` has the bytes of what the store had, by key; `why` has the keys of what was not
    simply current.
    """

    keys: Sequence[Key]
    entry_keys: Sequence[bytes]
    stored: Mapping[Key, bytes]
    why: Mapping[Key, object]
    at: float
    writes: int

    @property
    def weight(self) -> int:
        """In rows; only a page of one long entry weighs more than it has keys."""
        if len(self.keys) > 1:
            return len(self.keys)
        return 1 + sum(map(len, self.stored.values())) // LONG

    def was_current(self, key: Key, raw: bytes) -> bool:
        return self.stored.get(key) == raw and key not in self.why


class _Kept:
    """The copies of one source."""

    def __init__(self) -> None:
        self.pages: deque[Seen] = deque()
        self.weight = 0  # of the pages; rows that stand in several are counted each time
        self.rows: dict[bytes, Copy] = {}


class Copies:
    """The copies of every source of a registry; shared by its threads."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._kept: dict[Source, _Kept] = {}
        self._writes: dict[bytes, int] = {}

    def seen(self, source: Source, page: Seen) -> None:
        """The store had these rows, which are in the source's memory, and they were current."""
        if not self._most:
            return
        with self._lock:
            kept = self._kept.setdefault(source, _Kept())
            kept.pages.append(page)
            kept.weight += page.weight
            while kept.weight > self._most and len(kept.pages) > 1:
                kept.weight -= kept.pages.popleft().weight

    def writes(self, source: Source) -> int:
        """How often this process has written; what was read before its last write is not kept."""
        return self._writes.get(source.epoch_key, 0)

    def keep(self, source: Source, rows: Mapping[bytes, Any], known_at: float, writes: int) -> None:
        """Keep what was loaded at *known_at*, unless this process has written since."""
        if not self._most:
            return
        with self._lock:
            if self.writes(source) != writes:
                return
            kept = self._kept.setdefault(source, _Kept())
            kept.rows.update({key: Copy(row, known_at) for key, row in rows.items()})
            self._trim(kept)

    def of(self, source: Source, entry_keys: Iterable[bytes]) -> dict[bytes, Copy]:
        """The copies of those, by entry key."""
        with self._lock:
            kept = self._kept.get(source)
            if kept is None or not self._most:
                return {}
            self._take_pages(source, kept)
            found = ((key, kept.rows.get(key)) for key in entry_keys)
            return {key: copy for key, copy in found if copy is not None}

    def _take_pages(self, source: Source, kept: _Kept) -> None:
        """Copy what the store had before it was lost."""
        checked, writes = source.memory.rows, self.writes(source)
        while kept.pages:
            page = kept.pages.popleft()
            kept.weight -= page.weight
            if page.writes != writes:
                continue
            for key, entry_key in zip(page.keys, page.entry_keys, strict=True):
                before, known = kept.rows.get(entry_key), checked.get(entry_key)
                if before is not None and before.known_at > page.at:
                    continue
                if known is not None and page.was_current(key, known.raw):
                    kept.rows[entry_key] = Copy(known.row, page.at)
                else:  # The store had something else by then.
                    kept.rows.pop(entry_key, None)
            self._trim(kept)

    def _trim(self, kept: _Kept) -> None:
        for key in list(kept.rows)[: max(0, len(kept.rows) - self._most)]:
            del kept.rows[key]

    def drop(self, epoch_key: bytes, texts: Iterable[bytes], *, whole: bool) -> None:
        """This process writes: what it has copied of these is not current any more."""
        with self._lock:
            self._writes[epoch_key] = self._writes.get(epoch_key, 0) + 1
            for source, kept in tuple(self._kept.items()):
                if source.epoch_key == epoch_key and whole:
                    self._kept[source] = _Kept()
                elif source.epoch_key == epoch_key:
                    for text in texts:
                        kept.rows.pop(source.head + text, None)
