"""What the programs have counted, beside what the servers have."""

import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from redis import Redis

from tests.real.servers import Servers
from tests.servers.postgres_server import USER, PostgresServer

# Of the server, since it was asked to forget; statements within triggers are not of the top level.
CALLS = """
SELECT rolname, sum(calls)::bigint FROM pg_stat_statements
JOIN pg_roles ON pg_roles.oid = userid
WHERE toplevel AND query !~* '^\\s*SELECT set_config\\('
GROUP BY rolname
"""
FORGOTTEN = "SELECT dealloc FROM pg_stat_statements_info"
# A statement that reads or writes rows, in a server's log; not what opens a connection.
LOGGED = re.compile(
    r"^(\w+)\|LOG:  (?:statement|execute [^:]+): \s*(?:SELECT|INSERT|UPDATE|DELETE|WITH)\b"
    r"(?! set_config\()",
    re.MULTILINE | re.IGNORECASE,
)
# Which nothing but refcache's store sends here. Scripts call neither.
ROUND_TRIPS = ("MGET", "EVALSHA", "EVAL")
# Programs that count nothing: one that knows nothing of Django, and this one.
UNCOUNTED = ("outside", USER)

By = Counter[tuple[str, str]]  # role and alias


@dataclass(frozen=True, slots=True)
class Agreement:
    """One figure, counted on both sides.

    Args:
        of_web: How much of it the web processes have sent; None: it is not theirs.
    """

    what: str
    programs: int
    servers: int
    of_web: int | None

    @property
    def holds(self) -> bool:
        return self.programs == self.servers


@dataclass(frozen=True, slots=True)
class Counts:
    """What the programs have left in their folder.

    Args:
        queries: By role and database alias.
        round_trips: By the first command of what was sent at once, of all programs.
        of_web: The same, of the web processes alone.
        lags: Seconds, of each change that the relay has applied.
    """

    queries: By
    round_trips: Counter[str]
    of_web: Counter[str]
    lags: list[float]


def read_counts(folder: Path) -> Counts:
    counts = Counts(Counter(), Counter(), Counter(), [])
    for file in sorted(folder.glob("*.json")):
        told: dict[str, Any] = json.loads(file.read_text())
        role = role_of(told["program"])
        for alias, number in told["queries"].items():
            counts.queries[role, alias] += number
        counts.round_trips.update(told["redis"])
        counts.of_web.update(told["redis"] if role == "web" else {})
        counts.lags.extend(told["lags"])
    return counts


def role_of(program: str) -> str:
    """As whom it logs in: `web-1` as `web`."""
    return program.partition("-")[0]


class Figures:
    """What the servers count, from when this is made."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._marks = {alias: self._begin(each) for alias, each in servers.databases.items()}
        self._round_trips = self._sent()

    def queries(self) -> By:
        """By role and alias: statements that read or write rows."""
        found: By = Counter()
        for alias, server in self._servers.databases.items():
            for role, number in self._since(server, self._marks[alias]).items():
                found[role, alias] += number
        return found

    def round_trips(self) -> Counter[str]:
        return self._sent() - self._round_trips

    def _begin(self, server: PostgresServer) -> int:
        if self._servers.logs:
            return server.process.log.stat().st_size
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("SELECT pg_stat_statements_reset()")
        return 0

    def _since(self, server: PostgresServer, mark: int) -> Counter[str]:
        if self._servers.logs:
            return Counter(LOGGED.findall(server.process.log.read_text(errors="replace")[mark:]))
        with psycopg.connect(server.url, autocommit=True) as connection:
            assert connection.execute(FORGOTTEN).fetchone() == (0,), "raise pg_stat_statements.max"
            return Counter(dict(connection.execute(CALLS.encode()).fetchall()))

    def _sent(self) -> Counter[str]:
        with Redis.from_url(self._servers.redis.url) as client:
            told: Any = client.info("commandstats")
        calls = {name: told.get(f"cmdstat_{name.lower()}", {}) for name in ROUND_TRIPS}
        return Counter({name: each.get("calls", 0) for name, each in calls.items()})


def agreements(counts: Counts, figures: Figures) -> list[Agreement]:
    """Each figure of the programs with the servers' own."""
    asked, sent = figures.queries(), figures.round_trips()
    found = []
    for role, alias in sorted({*counts.queries, *asked}):
        if role not in UNCOUNTED:
            own = counts.queries[role, alias]
            of_web = own if role == "web" else None
            found.append(
                Agreement(f"queries to {alias} by {role}", own, asked[role, alias], of_web)
            )
    for name in sorted({*counts.round_trips} & {*ROUND_TRIPS} | {*sent}):
        own, of_web = counts.round_trips[name], counts.of_web[name]
        found.append(Agreement(f"{name} at Redis", own, sent[name], of_web))
    return found
