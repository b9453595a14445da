"""The scenarios in which PostgreSQL is hurt: answered as far as the declared staleness allows."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.faults.feeling import SLOW_LOAD
from tests.faults.judging import Allowance
from tests.faults.limits import MARGIN, TIMEOUT
from tests.faults.scenarios import Scenario
from tests.faults.site import Site

TTL = 0.3  # seconds, so that everything expires while the fault lasts
LONG = 60.0
SOFT_TIMEOUT = 0.2
LOAD_TIMEOUT = 0.4
LEASE_WAIT = 0.2
# Longer than a fault lasts, and the replica's lag after it.
GRACE = 30.0

TOLERANT = {"ttl": TTL, "staleness": {"if_error": LONG}}
REVALIDATING = {"ttl": TTL, "staleness": {"while_revalidate": LONG}}
INTOLERANT = {"ttl": TTL}
OLD = ("NotLoaded", "ServedStale")  # what processes count
UNAVAILABLE = ("ReferenceUnavailable",)
# A caller waits for another's load, and then loads by itself.
WAITED_FOR = LEASE_WAIT + LOAD_TIMEOUT


@contextmanager
def _stopped(site: Site) -> Iterator[None]:
    site.postgres.stop()
    yield
    site.postgres.start()


@contextmanager
def _restarted(site: Site) -> Iterator[None]:
    site.postgres.kill()
    time.sleep(TTL)  # Else it may be back before anybody has to ask it.
    site.postgres.start()
    yield


@contextmanager
def _hung(site: Site) -> Iterator[None]:
    site.postgres.pause()
    yield
    site.postgres.resume()


@contextmanager
def _slow(site: Site) -> Iterator[None]:
    site.postgres_proxy.delay(min(TIMEOUT + MARGIN, 1.5))
    yield
    site.postgres_proxy.pass_on()


@contextmanager
def _replica_paused(site: Site) -> Iterator[None]:
    assert site.replica
    site.replica.pause_replay()
    yield
    site.replica.resume_replay()


def _catch_up(site: Site) -> None:
    assert site.replica
    site.replica.catch_up()


STOPPED = Scenario(
    "PostgreSQL stopped, tolerated",
    _stopped,
    Allowance(bound=TIMEOUT, expired=True),
    felt=OLD,
    writes=False,
    reference=TOLERANT,
)
STOPPED_INTOLERANT = Scenario(
    "PostgreSQL stopped",
    _stopped,
    Allowance(bound=LOAD_TIMEOUT, errors=UNAVAILABLE),
    felt=OLD,
    reference=INTOLERANT,
)
STOPPED_OMITTED = Scenario(
    "PostgreSQL stopped, rows left out",
    _stopped,
    Allowance(bound=LOAD_TIMEOUT, absent=True),
    felt=OLD,
    reference={**INTOLERANT, "on_error": "omit"},
)
HUNG = Scenario(
    "PostgreSQL hung, tolerated",
    _hung,
    Allowance(bound=SOFT_TIMEOUT, expired=True),
    felt=OLD,
    writes=False,
    reference={**TOLERANT, "soft_timeout": SOFT_TIMEOUT, "load_timeout": LOAD_TIMEOUT},
)
HUNG_INTOLERANT = Scenario(
    "PostgreSQL hung",
    _hung,
    Allowance(bound=WAITED_FOR, errors=UNAVAILABLE),
    felt=OLD,
    writes=False,
    settings={"LEASE_WAIT": LEASE_WAIT},
    reference={**INTOLERANT, "load_timeout": LOAD_TIMEOUT},
)
RESTARTED = Scenario(
    "PostgreSQL restarted, tolerated",
    _restarted,
    # Whoever asks while it starts; the others find it running again.
    Allowance(bound=TIMEOUT, expired=None),
    felt=OLD,
    writes=False,
    reference=TOLERANT,
)
RESTARTED_INTOLERANT = Scenario(
    "PostgreSQL restarted",
    _restarted,
    Allowance(bound=LOAD_TIMEOUT, errors=UNAVAILABLE),
    felt=OLD,
    reference=INTOLERANT,
)
SLOW = Scenario(
    "PostgreSQL slow, revalidated",
    _slow,
    Allowance(bound=TIMEOUT, expired=True),
    felt=(SLOW_LOAD,),
    writes=False,
    proxied="postgres",
    reference=REVALIDATING,
)
REPLICA_PAUSED = Scenario(
    "replica paused",
    _replica_paused,
    is_seen=Site.is_behind,
    prepare=_catch_up,
    replica=True,
    reference={"fill_from": "replica", "grace": GRACE},
)

POSTGRES_FAULTS = (
    STOPPED,
    STOPPED_INTOLERANT,
    STOPPED_OMITTED,
    HUNG,
    HUNG_INTOLERANT,
    RESTARTED,
    RESTARTED_INTOLERANT,
    SLOW,
    REPLICA_PAUSED,
)
