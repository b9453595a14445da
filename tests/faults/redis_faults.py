"""The scenarios in which Redis is hurt: reads are answered all the same, within the timeout."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from tests.faults.feeling import PAGE_LOADED
from tests.faults.judging import Allowance
from tests.faults.limits import LIMIT, TIMEOUT
from tests.faults.scenarios import Fault, Scenario
from tests.faults.site import Site
from tests.servers.addresses import free_port

LEASE_WAIT = TIMEOUT
BOUND = TIMEOUT + LEASE_WAIT
OFTEN = 0.1  # seconds between what happens now and then
# A marker that is lost is missed between its writer's commit and release: some milliseconds, and
# on a loaded machine as long as the writer waits for its turn.
RELEASED = 1.0  # seconds

# What processes count.
LEFT_ALONE = ("BreakerOpened",)
FAILED = ("StoreFailed",)
CHANGED = ("ServerChanged",)


@contextmanager
def _stopped(site: Site) -> Iterator[None]:
    site.redis.stop()
    yield
    site.redis.start()


@contextmanager
def _killed(site: Site) -> Iterator[None]:
    site.redis.kill()
    yield
    site.redis.start()


@contextmanager
def _restarted(site: Site) -> Iterator[None]:
    """With whatever its dump holds."""
    site.redis.kill()
    site.redis.start()
    yield


@contextmanager
def _hung(site: Site) -> Iterator[None]:
    site.redis.pause()
    yield
    site.redis.resume()


@contextmanager
def _slow(site: Site) -> Iterator[None]:
    site.redis_proxy.delay(2 * TIMEOUT)
    yield
    site.redis_proxy.pass_on()


@contextmanager
def _swallowed(site: Site) -> Iterator[None]:
    site.redis_proxy.swallow()
    yield
    site.redis_proxy.pass_on()


@contextmanager
def _garbled(site: Site) -> Iterator[None]:
    site.redis_proxy.garble()
    yield
    site.redis_proxy.pass_on()


@contextmanager
def _full(site: Site) -> Iterator[None]:
    with site.client() as client:
        client.config_set("maxmemory", 1)  # bytes; its policy is `noeviction`
        yield
        client.config_set("maxmemory", 0)


@contextmanager
def _read_only(site: Site) -> Iterator[None]:
    with site.client() as client:
        client.replicaof("127.0.0.1", free_port())
        yield
        client.replicaof("NO", "ONE")


@contextmanager
def _failed_over(site: Site) -> Iterator[None]:
    assert site.group
    site.group.fail_over()
    yield


@contextmanager
def _flushed(site: Site) -> Iterator[None]:
    with site.client() as client, now_and_then(client.flushall):
        yield


@contextmanager
def _cut(site: Site) -> Iterator[None]:
    with now_and_then(site.redis_proxy.cut):
        yield


@contextmanager
def now_and_then(act: Callable[[], object]) -> Iterator[None]:
    """Act every *OFTEN* seconds while the block lasts."""
    is_over = threading.Event()

    def repeat() -> None:
        while not is_over.wait(OFTEN):
            act()

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join(LIMIT)


def _save(site: Site) -> None:
    with site.client() as client:
        client.save()
    # What the dump holds becomes old.
    site.wait_for_writes()


def _scenario(name: str, fault: Fault, **more: Any) -> Scenario:
    """Reads and writes go on.

    A lease whose holder cannot reach Redis any more is nobody's, and others wait for it. So are
    those that were asked for while Redis hung: it gives them when it goes on.
    """
    settings = {"LEASE_WAIT": LEASE_WAIT, **more.pop("settings", {})}
    queues = {"allowance": Allowance(bound=BOUND), "queues": True}
    return Scenario(name, fault, settings=settings, **{**queues, **more})


REFUSED = _scenario("Redis refused", _stopped, felt=LEFT_ALONE)
KILLED = _scenario("Redis killed, restarted empty", _killed, felt=CHANGED)
HUNG = _scenario("Redis hung", _hung, felt=LEFT_ALONE)
SLOW = _scenario("Redis slow", _slow, felt=LEFT_ALONE, proxied="redis")
SWALLOWED = _scenario("Redis behind a black hole", _swallowed, felt=LEFT_ALONE, proxied="redis")
CUT = _scenario("connections to Redis cut", _cut, felt=FAILED, proxied="redis")
GARBLED = _scenario("garbage from Redis", _garbled, felt=FAILED, proxied="redis")
FULL = _scenario("Redis full", _full, felt=FAILED)
READ_ONLY = _scenario("Redis read-only", _read_only, felt=FAILED)
OLD_DUMP = _scenario("Redis restarted with an old dump", _restarted, felt=CHANGED, prepare=_save)
FLUSHED = _scenario(
    "FLUSHALL",
    _flushed,
    felt=(PAGE_LOADED,),
    allowance=Allowance(bound=BOUND, tolerance=RELEASED),
    queues=False,
)
FAILED_OVER = _scenario("Sentinel failover", _failed_over, felt=CHANGED, sentinels=True)
EXHAUSTED = _scenario(
    "pool exhausted",
    nullcontext,
    felt=FAILED,
    settings={"MAX_CONNECTIONS": 1},
    readers=16,
    queues=False,
)

REDIS_FAULTS = (
    REFUSED,
    KILLED,
    HUNG,
    SLOW,
    SWALLOWED,
    CUT,
    GARBLED,
    FULL,
    READ_ONLY,
    OLD_DUMP,
    FLUSHED,
    FAILED_OVER,
    EXHAUSTED,
)
