"""What may befall the simulator's town, and how likely it is."""

from collections.abc import MutableMapping
from dataclasses import dataclass
from random import Random

from refcache.core import entries

# Past a poll, `lease_wait`, `lease_timeout`, `negative_ttl`, `write_timeout` and the TTL.
JUMPS_MS = (40, 1_100, 11_000, 31_000, 70_000, 301_000)

Stored = MutableMapping[bytes, tuple[bytes, int | None]]


@dataclass(frozen=True)
class Luck:
    """How likely each accident is, per step."""

    crash: float = 0.004
    jump: float = 0.02
    eviction: float = 0.03
    corruption: float = 0.02
    outage: float = 0.008
    lost_reply: float = 0.01
    failed_load: float = 0.02  # of all its keys
    failed_key: float = 0.02
    slow_load: float = 0.1  # of those that have a limit
    dump: float = 0.02
    restart: float = 0.004


CALM = Luck(*[0.0] * 11)


def evict(random: Random, stored: Stored, now: int) -> None:
    """Drop one of the entries that may be lost."""
    loose = [key for key, (raw, _) in stored.items() if _is_loose(key, raw, now)]
    if loose:
        del stored[random.choice(loose)]


def _is_loose(key: bytes, raw: bytes, now: int) -> bool:
    """Whether it may be lost: no marker is, nor an epoch that knows of writers."""
    epoch = entries.parse_epoch(key, raw)
    if epoch is not None:
        return not any(token.deadline > now for token in epoch.tokens)
    return raw[19:20] != entries.MARKER


def corrupt(random: Random, stored: Stored) -> bool:
    """Put another row's bytes, a flipped bit or a cut under one key.

    Returns:
        Whether no lease was hit, nor made: a token or deadline that was hit looks like one.
    """
    states = (entries.VALUE, entries.ABSENT, entries.LEASE)
    loose = {key: each for key, each in stored.items() if each[0][19:20] in states}
    if not loose:
        return True
    key = random.choice(list(loose))
    raw, expires = loose[key]
    at = random.randrange(len(raw))
    flipped = raw[:at] + bytes([raw[at] ^ 1 << random.randrange(8)]) + raw[at + 1 :]
    another = random.choice(list(loose.values()))[0]
    stored[key] = (random.choice([flipped, another, raw[:at]]), expires)
    return not 4 <= at < entries.CHECKED and raw[19:20] != entries.LEASE
