"""The bytes of an entry: a fixed header of 44 bytes, then a body.

    offset  bytes  field
         0      4  checksum over the Redis key and everything from offset 18
         4      8  token of the lease or refresh under way; zero where there is none
        12      6  deadline of that token
        18      1  format
        19      1  state
        20     12  epoch
        32      6  at: when it was claimed for loading, or made
        38      6  until: fresh until; for a lease and a tombstone: when the tombstone ends;
                   for an epoch: the incarnation of the server that made it
        44         body: a payload (value), tokens (marker), schemas and tokens (epoch)

Times are milliseconds of Redis's clock, big-endian, so that bytes compare as times do. Token and
deadline stand outside the checksum, because the claim script puts them into a value that it
cannot check: Redis's Lua has no CRC-32. The states that the scripts make carry a polynomial hash
instead, which takes few lines in any Lua (fakeredis's has no `redis.sha1hex`).

Markers, tombstones, leases and epochs are written by every version of the code into every
version's keys, so their layout never changes: what is new is a new kind of token, which older code
keeps and passes on. Values have keys of their own per format, by their schema.
"""

from functools import lru_cache
from typing import NamedTuple
from zlib import crc32

FORMAT = b"\x01"
VALUE, ABSENT, LEASE, MARKER, TOMBSTONE, EPOCH = (b"V", b"A", b"L", b"M", b"T", b"E")
STATES = VALUE + ABSENT + LEASE + MARKER + TOMBSTONE + EPOCH

CHECKED = 18  # where the checksummed part begins
HEADER = 44
LONGEST = 65_536  # bytes of what the scripts make: thousands of writers under way at once
NO_TOKEN = bytes(8)
NO_EPOCH = bytes(12)
ROW_TOKEN, EPOCH_TOKEN, GRACE_TOKEN = b"r", b"e", b"g"


class Token(NamedTuple):
    """One writer under way, and until when (ms) its mark holds.

    A grace token is what one leaves that has marked the epoch: fills read the primary until then.
    """

    id: bytes
    deadline: int
    kind: bytes = ROW_TOKEN


class Schema(NamedTuple):
    """A schema alive in Redis: it may fill from `since` on, and is forgotten at `until` (ms)."""

    id: bytes
    since: int
    until: int


class Entry(NamedTuple):
    """A parsed entry; times in ms."""

    state: bytes
    token: bytes = NO_TOKEN
    deadline: int = 0
    epoch: bytes = NO_EPOCH
    at: int = 0
    until: int = 0
    body: bytes = b""


class Epoch(NamedTuple):
    """A parsed epoch entry; `incarnation` of the server that made it."""

    id: bytes
    schemas: tuple[Schema, ...] = ()
    tokens: tuple[Token, ...] = ()
    incarnation: int = 0

    def is_marked(self, now: int) -> bool:
        return bool(self.tokens) and any(
            t.kind == EPOCH_TOKEN and t.deadline > now for t in self.tokens
        )

    def reads_primary(self, now: int) -> bool:
        """Whether a replica may lack what was written."""
        return any(t.kind == GRACE_TOKEN and t.deadline > now for t in self.tokens)

    def schema(self, schema: bytes) -> Schema | None:
        return next((s for s in self.schemas if s.id == schema), None)


def six(number: int) -> bytes:
    """Milliseconds as six bytes."""
    return number.to_bytes(6, "big")


def number(six_bytes: bytes) -> int:
    return int.from_bytes(six_bytes, "big")


def checksum(entry_key: bytes, raw: bytes) -> bytes:
    """The four bytes that must stand at the head of *raw*."""
    if raw[19:20] in (VALUE, ABSENT):
        return crc32(raw[CHECKED:], crc32(entry_key)).to_bytes(4, "big")
    return polynomial(entry_key + raw[CHECKED:]).to_bytes(4, "big")


def polynomial(data: bytes) -> int:
    """A hash of 32 bits that sees every change of one byte.

    Source: the multiplier is sdbm's. Odd, so that it loses nothing modulo 2**32; below 2**21, so
    that Lua's doubles hold each product exactly.
    """
    total = 0
    for byte in data:
        total = (total * 65599 + byte) & 0xFFFFFFFF
    return total


def pack(entry_key: bytes, entry: Entry) -> bytes:
    checked = b"".join(
        (FORMAT, entry.state, entry.epoch, six(entry.at), six(entry.until), entry.body)
    )
    raw = NO_TOKEN[:4] + entry.token + six(entry.deadline) + checked
    return checksum(entry_key, raw) + raw[4:]


def parse(entry_key: bytes, raw: bytes | None) -> Entry | None:
    """The entry under *entry_key*, or None: nothing there, or nothing of ours."""
    if raw is None or not is_well_formed(raw):
        return None
    if raw[19:20] not in (VALUE, ABSENT) and len(raw) > LONGEST:
        return None
    return unpack(raw) if raw[:4] == checksum(entry_key, raw) else None


def is_well_formed(raw: bytes) -> bool:
    """Whether *raw* has the header of an entry; its checksum is another matter."""
    return len(raw) >= HEADER and raw[18:19] == FORMAT and raw[19] in STATES


def witness(raw: bytes) -> bytes:
    """What a claim must show to take a value that it does not trust.

    Its head, which holds its checksum and times, and its length.
    """
    return raw[:HEADER] + len(raw).to_bytes(6, "big")


def unpack(raw: bytes) -> Entry:
    """The fields of a well-formed entry, unchecked."""
    return Entry(
        raw[19:20],
        raw[4:12],
        number(raw[12:18]),
        raw[20:32],
        number(raw[32:38]),
        number(raw[38:44]),
        raw[HEADER:],
    )


def pack_tokens(tokens: tuple[Token, ...]) -> bytes:
    return b"".join(t.id + six(t.deadline) + t.kind for t in tokens)


def unpack_tokens(body: bytes) -> tuple[Token, ...]:
    return tuple(
        Token(body[i : i + 8], number(body[i + 8 : i + 14]), body[i + 14 : i + 15])
        for i in range(0, len(body) - 14, 15)
    )


def live(tokens: tuple[Token, ...], now: int) -> tuple[Token, ...]:
    return tuple(t for t in tokens if t.deadline > now)


def without(tokens: tuple[Token, ...], token: bytes) -> tuple[Token, ...]:
    return tuple(t for t in tokens if t.id != token)


def writers(tokens: tuple[Token, ...]) -> tuple[Token, ...]:
    """Those of writers under way; the others are what writers have left."""
    return tuple(t for t in tokens if t.kind != GRACE_TOKEN)


def pack_epoch(entry_key: bytes, epoch: Epoch, now: int) -> bytes:
    schemas = b"".join(s.id + six(s.since) + six(s.until) for s in epoch.schemas)
    body = bytes((len(epoch.schemas),)) + schemas + pack_tokens(epoch.tokens)
    entry = Entry(EPOCH, epoch=epoch.id, at=now, until=epoch.incarnation, body=body)
    return pack(entry_key, entry)


@lru_cache(maxsize=1024)
def parse_epoch(entry_key: bytes, raw: bytes | None) -> Epoch | None:
    """The epoch entry, or None where there is none. Cached: between writes its bytes stay."""
    entry = parse(entry_key, raw)
    if entry is None or entry.state != EPOCH or not entry.body:
        return None
    end = 1 + 24 * entry.body[0]
    schemas = tuple(
        Schema(
            entry.body[i : i + 12],
            number(entry.body[i + 12 : i + 18]),
            number(entry.body[i + 18 : i + 24]),
        )
        for i in range(1, end, 24)
    )
    return Epoch(entry.epoch, schemas, unpack_tokens(entry.body[end:]), entry.until)
