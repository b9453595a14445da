"""Rows to payloads and payloads to snapshots: the innermost step of every fill and every hit."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.msgpack import Decoder, Encoder

from refcache.core.columns import Column
from refcache.core.containers import tuple_of
from refcache.core.exceptions import Undecodable, Unencodable
from refcache.core.frozen import freeze
from refcache.core.snapshots import Snapshot

_encode = Encoder(uuid_format="bytes").encode

# What msgspec and the kinds raise: InvalidOperation of decimal is an ArithmeticError, the error of
# a lone surrogate a ValueError.
_REFUSALS = (msgspec.MsgspecError, ValueError, TypeError, ArithmeticError)


class RowCodec:
    """Encodes the rows of one schema, and decodes them to snapshots or tuples.

    Args:
        snapshot_type: From `snapshots.snapshot_type` for the same columns; None: tuples.
        columns: The key's column, then those of the row's other values.
    """

    def __init__(self, snapshot_type: type[Snapshot] | None, columns: Sequence[Column]) -> None:
        self.columns = tuple(columns)
        self._make: Any = snapshot_type or _as_tuple
        kinds = [column.kind for column in self.columns]
        self._carriers = tuple(kind.carry for kind in kinds)
        self._restorers = tuple(kind.restore for kind in kinds)
        self._decode_raw = Decoder(tuple_of([kind.raw for kind in kinds])).decode
        self._decode_direct = None
        if all(kind.direct is not None for kind in kinds):
            direct = tuple_of([kind.direct for kind in kinds])
            self._decode_direct = Decoder(snapshot_type or direct).decode
        self._header = _array_header(len(kinds))
        self._head = slice(len(self._header))

    @property
    def is_direct(self) -> bool:
        """Whether all values are of immutable types that MessagePack decodes to by itself."""
        return self._decode_direct is not None

    @property
    def signature(self) -> str:
        """What two codecs have in common that read each other's payloads."""
        return ",".join(f"{column.name}:{column.kind.signature}" for column in self.columns)

    def encode(self, row: Sequence[Any]) -> bytes:
        """The payload of a database row: the key, then the values in the columns' order.

        Raises:
            Unencodable: A value is not what its column's kind can carry.
        """
        try:
            return _encode([carry(value) for carry, value in zip(self._carriers, row, strict=True)])
        except _REFUSALS as exc:
            raise Unencodable(self._complaint(row)) from exc

    def decode(self, payload: bytes | memoryview) -> Any:
        """The snapshot, or the tuple, that *payload* carries.

        Raises:
            Undecodable: It is not a payload of these columns, whatever else it may be.
        """
        try:
            if self._decode_direct is not None:
                try:
                    return self._decode_direct(payload)
                except msgspec.ValidationError:
                    pass  # Some kinds have a second raw form, such as integers beyond 64 bits.
            if payload[self._head] != self._header:
                raise ValueError(f"a row has {len(self.columns)} items")
            values = self._decode_raw(payload)
            return self._make(
                *[restore(raw) for restore, raw in zip(self._restorers, values, strict=True)]
            )
        except _REFUSALS as exc:
            raise Undecodable(
                f"{len(payload)} bytes are not a row of these columns: {exc}"
            ) from exc

    def wrap(self, row: Sequence[Any]) -> Any:
        """What a row gives that cannot be encoded: its values as they are, containers frozen."""
        return self._make(*map(freeze, row))

    def _complaint(self, row: Sequence[Any]) -> str:
        if len(row) != len(self.columns):
            return f"A row of {len(row)} values does not fit {len(self.columns)} columns."
        for column, value in zip(self.columns, row, strict=True):
            try:
                _encode(column.kind.carry(value))
            except _REFUSALS as exc:
                return f"Column {column.name!r} ({column.kind.signature}) cannot be stored: {exc}."
        return "The row cannot be stored."


def _as_tuple(*values: object) -> tuple[object, ...]:
    return values


def _array_header(length: int) -> bytes:
    """How MessagePack begins an array of *length* items; up to 65,535."""
    if length < 16:  # noqa: PLR2004 - fixarray, https://github.com/msgpack/msgpack spec.md
        return bytes([0x90 | length])
    return b"\xdc" + length.to_bytes(2, "big")
