"""Lists of keys as payloads: which rows a condition holds for."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.msgpack import Decoder, Encoder

from refcache.core.columns import Column
from refcache.core.containers import tuple_of
from refcache.core.exceptions import Undecodable, Unencodable
from refcache.core.keys import Key

_encode = Encoder(uuid_format="bytes").encode
_REFUSALS = (msgspec.MsgspecError, ValueError, TypeError, ArithmeticError)


class KeyListCodec:
    """Encodes tuples of keys, of any length, and decodes them.

    Args:
        columns: What a key is made of; where there are several, a key is a tuple.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self._kinds = tuple(column.kind for column in columns)
        self._names = tuple(column.name for column in columns)
        raws = [kind.raw for kind in self._kinds]
        raw: Any = raws[0] if len(raws) == 1 else tuple_of(raws)
        self._decode = Decoder(tuple[raw, ...]).decode

    @property
    def signature(self) -> str:
        """What two codecs have in common that read each other's payloads."""
        kinds = zip(self._names, self._kinds, strict=True)
        return "keys:" + ",".join(f"{name}:{kind.signature}" for name, kind in kinds)

    def encode(self, keys: Sequence[Key]) -> bytes:
        """The payload of a list of keys, in its order.

        Raises:
            Unencodable: A key is not what its columns can carry.
        """
        try:
            if len(self._kinds) == 1:
                return _encode([self._kinds[0].carry(key) for key in keys])
            return _encode([self._carried(key) for key in keys])
        except _REFUSALS as exc:
            raise Unencodable(f"A list of {len(keys)} keys cannot be stored: {exc}.") from exc

    def decode(self, payload: bytes | memoryview) -> tuple[Key, ...]:
        """The keys that *payload* carries.

        Raises:
            Undecodable: It is not a payload of such keys.
        """
        try:
            raws: tuple[Any, ...] = self._decode(payload)
            if len(self._kinds) == 1:
                restore = self._kinds[0].restore
                return tuple(map(restore, raws)) if self._kinds[0].unpack else raws
            return tuple(self._restored(raw) for raw in raws)
        except _REFUSALS as exc:
            raise Undecodable(f"{len(payload)} bytes are no list of such keys: {exc}") from exc

    def _carried(self, key: Any) -> list[object]:
        return [kind.carry(part) for kind, part in zip(self._kinds, key, strict=True)]

    def _restored(self, raw: Any) -> Key:
        return tuple(kind.restore(part) for kind, part in zip(self._kinds, raw, strict=True))
