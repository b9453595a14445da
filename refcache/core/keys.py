"""The names of entries in Redis: built and parsed here and nowhere else.

<alias prefix>customer:1:4f2a09c1:42                    the row 42 of the reference customer
<alias prefix>customer:1:4f2a09c1:@email=ann%40x.org    an index entry: from a key to the row
<alias prefix>customer:epoch                            the epoch of all versions and schemas
"""

import re
import struct
from collections.abc import Hashable
from datetime import UTC, datetime
from decimal import MAX_PREC, Context, Decimal
from typing import NamedTuple
from urllib.parse import quote, unquote

NAME = re.compile(r"[a-z0-9_.~-]+")
_SCHEMA = struct.Struct(">I8s")
PARTS = 4  # reference, version, schema and text; the text holds no colon
_EXACT = Context(prec=MAX_PREC)

Key = Hashable


class Family(NamedTuple):
    """All entries of one reference, of every version and schema: they share an epoch."""

    reference: str
    stem: bytes

    @property
    def epoch_key(self) -> bytes:
        return self.stem + b"epoch"

    def head(self, schema: bytes) -> bytes:
        """What the row keys of one schema begin with."""
        version, fingerprint = _SCHEMA.unpack(schema)
        return self.stem + b"%d:%b:" % (version, fingerprint)


class ParsedKey(NamedTuple):
    """What a key in Redis says of its entry; `fields` is empty for a row's own entry."""

    reference: str
    version: int
    schema: str
    fields: tuple[str, ...]
    text: str


def family(prefix: bytes, reference: str) -> Family:
    """The family of *reference* under the cache alias's own *prefix*.

    Raises:
        ValueError: The name holds something else than `a-z 0-9 _ . ~ -`.
    """
    if not NAME.fullmatch(reference):
        raise ValueError(
            f"{reference!r} cannot name a reference: use a-z, 0-9, '_', '.', '~' and '-' only."
        )
    return Family(reference, prefix + reference.encode() + b":")


def schema_id(version: int, fingerprint: str) -> bytes:
    """Twelve bytes that name a version and a schema: what an epoch entry lists.

    Args:
        version: 0 to 2**32 - 1.
        fingerprint: Eight hexadecimal digits.
    """
    return _SCHEMA.pack(version, fingerprint.encode())


def key_text(key: Key) -> bytes:
    """A key as it stands in Redis: the same for equal keys, another for other ones of its type."""
    if type(key) is int:
        return b"%d" % key
    if isinstance(key, tuple):
        return b",".join(map(key_text, key))
    if isinstance(key, bytes):
        return key.hex().encode()
    if isinstance(key, datetime) and key.tzinfo:
        key = key.astimezone(UTC)
    if isinstance(key, float | Decimal) and not key:
        key = abs(key)  # A negative zero equals zero.
    if isinstance(key, Decimal):
        key = key.normalize(_EXACT)
    return quote(str(key), safe="").encode()


def index_text(fields: tuple[str, ...], key: Key) -> bytes:
    """The text of an index entry; `@` cannot begin a row's own text."""
    return b"@" + ",".join(fields).encode() + b"=" + key_text(key)


def parse(prefix: bytes, entry_key: bytes) -> ParsedKey | None:
    """What *entry_key* names, or None where it is not a row's or an index's entry."""
    if not entry_key.startswith(prefix):
        return None
    parts = entry_key[len(prefix) :].decode("utf-8", "replace").split(":", 3)
    if len(parts) != PARTS or not parts[1].isdecimal():
        return None
    reference, version, schema, text = parts
    if not text.startswith("@"):
        return ParsedKey(reference, int(version), schema, (), unquote(text))
    fields, _, text = text[1:].partition("=")
    return ParsedKey(reference, int(version), schema, tuple(fields.split(",")), unquote(text))
