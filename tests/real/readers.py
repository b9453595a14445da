"""Readers, who hold each page against what was committed before they asked for it."""

import json
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection
from random import Random
from typing import Any

from tests.real.ledger import Ledger, read_name

TIMEOUT = 30.0  # seconds; for a loaded machine
SHOWN = 10  # troubles of each reader
UNKNOWN = "Unknown"  # begins a placeholder


@dataclass(slots=True)
class Told:
    """What a reader has to tell.

    Args:
        seconds: Of each page.
        counted: Pages; rows that each writer had written, and that were compared.
        oldest: Seconds; how long ago what a program outside Django had committed, and a read did
            not yet show, was committed at most.
    """

    seconds: list[float] = field(default_factory=list)
    counted: Counter[str] = field(default_factory=Counter)
    oldest: float = 0.0
    troubles: list[str] = field(default_factory=list)

    def add(self, other: "Told") -> None:
        self.seconds += other.seconds
        self.counted += other.counted
        self.oldest = max(self.oldest, other.oldest)
        self.troubles += other.troubles


@dataclass(slots=True)
class Reader:
    """Asks web processes for pages by turns, until told to end.

    Args:
        ports: The web processes'.
        events: How many there are.
        django: What the application writes: to be seen at once.
        outside: What others write: to be seen after *bound* seconds.
    """

    ports: Sequence[int]
    events: int
    django: Ledger
    outside: Ledger
    bound: float
    random: Random
    told: Told = field(default_factory=Told)

    def read_until(self, is_over: threading.Event) -> None:
        connections = [HTTPConnection("127.0.0.1", port, timeout=TIMEOUT) for port in self.ports]
        while not is_over.is_set():
            try:
                self._read(self.random.choice(connections))
            except (OSError, ValueError, LookupError) as exc:
                self._tell(f"a page failed: {type(exc).__name__}: {exc}")
        for each in connections:
            each.close()

    def _read(self, connection: HTTPConnection) -> None:
        after = self.random.randrange(max(1, self.events - 100))
        began = time.monotonic_ns()
        connection.request("GET", f"/orders/?after={after}", headers={"accept": "application/json"})
        response = connection.getresponse()
        body = response.read()
        self.told.seconds.append((time.monotonic_ns() - began) / 1e9)
        self.told.counted["pages"] += 1
        if response.status != 200:
            self._tell(f"a page was answered with {response.status}: {body[:300]!r}")
            return
        for row in json.loads(body):
            self._judge(row["customer_id"], row["customer"], began)

    def _judge(self, pk: int, customer: Any, began: int) -> None:
        if pk in self.django:
            self._compare("Django", self.django, pk, customer["name"], began, 0.0)
        elif pk in self.outside:
            self._compare("outside", self.outside, pk, customer["name"], began, self.bound)

    def _compare(
        self, writer: str, ledger: Ledger, pk: int, name: str, began: int, bound: float
    ) -> None:
        latest, found = ledger.latest(pk, began), read_name(name)
        self.told.counted[writer] += latest > 0
        if name.startswith(UNKNOWN):
            self._tell(f"{name!r} is a row that is there")
            return
        version, is_lost = found or (0, False)
        if is_lost:
            self._tell(f"{name!r} of {pk} was rolled back")
        if version >= latest:
            return
        age = (began - ledger.committed_at(pk, version + 1)) / 1e9
        self.told.oldest = max(self.told.oldest, age)
        if age > bound:
            self.told.counted["stale"] += 1
            self._tell(
                f"stale: {name!r} of {pk} was read {age:.3f} s after version {version + 1} was "
                f"committed by {writer}"
            )

    def _tell(self, trouble: str) -> None:
        self.told.counted["troubles"] += 1
        if len(self.told.troubles) < SHOWN:
            self.told.troubles.append(trouble)
