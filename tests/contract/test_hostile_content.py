"""Every script survives what stands under its keys, and does its work nevertheless."""

from collections.abc import Callable
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from refcache.core import entries
from refcache.core.operations import Grant
from refcache.tiers.redis_store import RedisStore
from tests.conftest import FULL
from tests.contract import calls
from tests.contract.calls import EPOCH, GRACE_MS, ONE, TWO, YOURS
from tests.contract.subjects import Subject, of_redis

EXAMPLES = 2_000 if FULL else 60
QUICK = settings(
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)

Put = Callable[[redis.Redis, bytes], object]
CONTENT: dict[str, Put] = {
    "a list": lambda client, key: client.rpush(key, "x"),
    "a hash": lambda client, key: client.hset(key, "x", "y"),
    "a stream": lambda client, key: client.xadd(key, {"x": "y"}),
    "a set": lambda client, key: client.sadd(key, "x"),
    "a sorted set": lambda client, key: client.zadd(key, {"x": 1}),
    "nothing but zeros": lambda client, key: client.set(key, bytes(100)),
    "an empty string": lambda client, key: client.set(key, b""),
    "5 MB": lambda client, key: client.set(key, bytes(range(256)) * 20_480),
    "5 MB behind a header": lambda client, key: client.set(key, _header(5_000_000)),
    "a future format": lambda client, key: client.set(key, _header(100, form=b"\x02")),
}


def _header(size: int, form: bytes = entries.FORMAT) -> bytes:
    return bytes(18) + form + entries.MARKER + b"\xff" * size


@pytest.fixture
def subject(client: redis.Redis) -> Subject:
    return of_redis(client, RedisStore(client).perform)


@pytest.fixture(params=CONTENT)
def put(request: pytest.FixtureRequest, client: redis.Redis) -> Callable[[bytes], None]:
    """Puts the content under a key, whatever stands there."""

    def replace(key: bytes) -> None:
        client.delete(key)
        CONTENT[request.param](client, key)

    return replace


@pytest.mark.parametrize("key", [ONE, EPOCH])
def test_a_claim_takes_what_is_not_ours(
    subject: Subject, put: Callable[[bytes], None], key: bytes
) -> None:
    put(key)

    assert calls.leased(subject, ONE) == [Grant.LEASE]

    assert calls.state(subject, ONE) == entries.LEASE
    assert entries.parse_epoch(EPOCH, subject.get(EPOCH)) is not None


def test_a_fill_leaves_alone_what_is_not_ours(
    client: redis.Redis, subject: Subject, put: Callable[[bytes], None]
) -> None:
    calls.leased(subject, ONE, TWO)
    raw = calls.value(subject, ONE)
    put(ONE)
    before: Any = client.dump(ONE)

    assert not calls.fill(subject, ONE, raw)

    assert client.dump(ONE) == before


@pytest.mark.parametrize("key", [ONE, EPOCH])
def test_a_mark_stands_whatever_stood_there(
    subject: Subject, put: Callable[[bytes], None], key: bytes
) -> None:
    calls.filled(subject, ONE)
    put(key)

    known = calls.group(ONE)
    if (written := calls.mark(subject, known)).outdated is not None:
        written = calls.mark(subject, known._replace(schemas=written.outdated[0]))

    assert written.outdated is None
    assert calls.state(subject, ONE) == entries.MARKER
    assert Grant.LEASE not in calls.leased(subject, ONE, token=YOURS)


@pytest.mark.parametrize("key", [ONE, EPOCH])
def test_a_release_deletes_whatever_stands_there(
    subject: Subject, put: Callable[[bytes], None], key: bytes
) -> None:
    calls.filled(subject, ONE)
    calls.mark(subject, calls.group(ONE))
    put(key)

    assert calls.release(subject, calls.group(ONE)).outdated is None

    assert subject.get(ONE) is None


def _value(subject: Subject) -> None:
    calls.filled(subject, ONE)


def _lease(subject: Subject) -> None:
    calls.leased(subject, ONE)


def _marker(subject: Subject) -> None:
    calls.leased(subject, TWO)
    calls.mark(subject, calls.group(ONE))


def _tombstone(subject: Subject) -> None:
    _marker(subject)
    calls.release(subject, calls.group(ONE, grace_ms=GRACE_MS))


STATES = {
    entries.VALUE: _value,
    entries.LEASE: _lease,
    entries.MARKER: _marker,
    entries.TOMBSTONE: _tombstone,
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("place", [ONE, EPOCH])
def test_one_wrong_bit_stops_no_script(
    client: redis.Redis, subject: Subject, state: bytes, place: bytes
) -> None:
    @QUICK
    @given(bit=st.integers(0, 8 * 90), cut=st.integers(0, 90) | st.none())
    def flip(bit: int, cut: int | None) -> None:
        client.delete(ONE, TWO, EPOCH)
        STATES[state](subject)
        assert calls.state(subject, ONE) == state
        raw = bytearray(subject.get(place) or b"")
        raw[bit // 8 % len(raw)] ^= 1 << bit % 8
        subject.put(place, bytes(raw[:cut]))

        calls.leased(subject, ONE, TWO, token=YOURS)
        calls.fill(subject, TWO, calls.value(subject, TWO), token=YOURS)
        known = calls.group(ONE, TWO)
        if (written := calls.mark(subject, known)).outdated is not None:
            known = known._replace(schemas=written.outdated[0])
            assert calls.mark(subject, known).outdated is None
        assert [calls.state(subject, key) for key in (ONE, TWO)] == [entries.MARKER] * 2
        assert calls.release(subject, known).outdated is None
        calls.release(subject, known, token=YOURS)
        assert calls.state(subject, ONE) in (None, entries.MARKER)
        assert subject.get(TWO) is None

    flip()
