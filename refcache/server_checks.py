"""System checks that ask servers: run by `check --database ...`, by `migrate` and by test runners.

docs/checks.md has a heading for each id.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from django.core.checks import CheckMessage, Tags, Warning, register  # noqa: A004 - Django's
from django.core.exceptions import ImproperlyConfigured
from django.db import Error as DatabaseError
from django.db import connections

from refcache.conf import conf
from refcache.connections import place_of
from refcache.core.exceptions import StoreUnavailable
from refcache.registry import references
from refcache.tiers.redis_store import RedisStore

# A marker is the youngest of keys: policies by recency take it last, those by frequency after what
# is asked for seldom. But it expires before most others.
RISKY_POLICIES = ("volatile-ttl", "volatile-random", "allkeys-random")


class Limits(NamedTuple):
    """What a database server may limit a transaction by.

    Args:
        query: Gives names and values; a server that has no such setting leaves it out.
        unit: Of the values, in seconds.
        ways: Each is enough; it is made of groups, of each of which one setting has to be set.
    """

    query: str
    unit: float
    ways: Sequence[Sequence[tuple[str, ...]]]
    hint: str


LIMITS = {
    "postgresql": Limits(
        "SELECT name, setting FROM pg_settings WHERE name IN ('transaction_timeout', "
        "'idle_in_transaction_session_timeout', 'statement_timeout')",
        0.001,
        [
            [("transaction_timeout",)],
            [("idle_in_transaction_session_timeout",), ("statement_timeout",)],
        ],
        "Set idle_in_transaction_session_timeout and statement_timeout (or transaction_timeout, "
        "from PostgreSQL 17 on) below it, for the role or in the alias's OPTIONS, or raise "
        "WRITE_TIMEOUT.",
    ),
    "mysql": Limits(
        "SHOW SESSION VARIABLES WHERE Variable_name IN ('idle_transaction_timeout', "
        "'idle_write_transaction_timeout', 'wait_timeout', 'max_statement_time')",
        1.0,
        [
            [
                ("idle_write_transaction_timeout", "idle_transaction_timeout", "wait_timeout"),
                ("max_statement_time",),
            ]
        ],
        "Set wait_timeout (on MariaDB rather idle_write_transaction_timeout, and "
        "max_statement_time) below it, or raise WRITE_TIMEOUT.",
    ),
}


@register(Tags.database)
def check_transactions(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """W005: a transaction may be open for longer than its markers stand."""
    try:
        aliases = [alias for alias in references.aliases() if alias in (databases or ())]
        write_timeout = conf().write_timeout
    except ImproperlyConfigured:  # E001 and E002 tell.
        return []
    found: list[CheckMessage] = []
    for alias in aliases:
        limits = LIMITS.get(connections[alias].vendor)
        values = limits and _values(alias, limits)
        if not limits or not values or _is_limited(limits, values, write_timeout):
            continue
        shown = ", ".join(f"{name}: {value:g}" for name, value in sorted(values.items()))
        found.append(
            Warning(
                f"On {alias!r} a transaction may last for longer than REFCACHE['WRITE_TIMEOUT'] "
                f"({write_timeout:g} s). Its markers lapse then, so that what it has yet to "
                f"commit can be cached as it was before (in seconds, 0 is no limit: {shown}).",
                hint=limits.hint,
                id="refcache.W005",
            )
        )
    return found


def _values(alias: str, limits: Limits) -> dict[str, float] | None:
    """The settings in seconds; None where the database cannot be asked."""
    try:
        with connections[alias].cursor() as cursor:
            cursor.execute(limits.query)
            return {name.lower(): float(value) * limits.unit for name, value in cursor.fetchall()}
    except DatabaseError:
        return None


def _is_limited(limits: Limits, values: Mapping[str, float], most: float) -> bool:
    def is_set(group: tuple[str, ...]) -> bool:
        # MySQL has no limit for statements that write: then the other one has to do.
        known = [values[name] for name in group if name in values]
        return any(0 < value <= most for value in known) or not known

    def is_known(way: Sequence[tuple[str, ...]]) -> bool:
        return any(name in values for group in way for name in group)

    return any(is_known(way) and all(map(is_set, way)) for way in limits.ways)


@register(Tags.database)
def check_eviction(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """W006: when Redis is full, it may drop markers before anything else."""
    if not databases:
        return []
    try:
        store = place_of(conf()).store
    except ImproperlyConfigured:  # E001 and E002 tell.
        return []
    if not isinstance(store, RedisStore):
        return []
    try:
        memory = store.info("memory")
    except StoreUnavailable:  # Whether Redis runs is for others to watch.
        return []
    finally:
        store.close()
    policy = memory.get("maxmemory_policy", "")
    if memory.get("maxmemory") == "0" or policy not in RISKY_POLICIES:
        return []
    return [
        Warning(
            f"Redis evicts by {policy!r} when it is full: that takes markers of writes that are "
            "under way before, or as soon as, values that nobody asks for.",
            hint="Set maxmemory-policy to allkeys-lru, volatile-lru, allkeys-lfu or volatile-lfu "
            "(or noeviction, if Redis is never full).",
            id="refcache.W006",
        )
    ]
