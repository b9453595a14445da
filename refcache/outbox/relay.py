"""The relay: takes changes out of the outbox, applies them, then deletes them."""

import json
import logging
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from django.db import Error as DatabaseError
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import FloatField
from django.db.models.expressions import RawSQL

from refcache.core.events import Relayed
from refcache.core.exceptions import StoreUnavailable
from refcache.core.writes import Touched
from refcache.outbox.models import Change, InstalledTrigger
from refcache.outbox.triggers import dialect_of
from refcache.outbox.waking import Ear, Stop
from refcache.registry import ReferenceCache

logger = logging.getLogger("refcache")

BATCH = 500  # changes; each may hold some thousand rows
LISTENING = 1.0  # seconds between looks where a NOTIFY may wake; it may also be lost
POLLING = 0.1
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
# An older relay, beside newer code that registers the table, must not take what that one's needs:
# longer than a deployment, and short enough not to clog the outbox.
KEPT_UNKNOWN = 3600.0
LOOKS_FOR_UNKNOWN = 60.0


class Relay:
    """Serves the outbox of one database, in one thread.

    Args:
        alias: The database.
        references: Whose entries are dropped.
        stop: Ends it after the batch under way.
        tell: Is given what the references' observers are given of each batch.
        interval: Seconds between looks at an empty outbox; None: as the database needs it.
        batch: Changes at a time.
    """

    def __init__(
        self,
        alias: str,
        references: ReferenceCache,
        stop: Stop,
        tell: Callable[[Relayed], None],
        *,
        interval: float | None = None,
        batch: int = BATCH,
    ) -> None:
        self.alias = alias
        self._references = references
        self._stop = stop
        self._tell = tell
        self._interval = interval
        self._batch = batch
        self._dialect = dialect_of(connections[alias])
        self._outage = ""
        self._pause = FIRST_PAUSE
        self._looks_at = 0.0

    def run(self) -> None:
        """Serve until it is to stop, through outages of the database and of the store."""
        try:
            while not self._stop.is_set:
                try:
                    self._serve()
                except (DatabaseError, StoreUnavailable) as exc:
                    self._sit_out(exc)
        finally:
            self._connection.close()

    def drain(self) -> int:
        """Apply what is there.

        Returns:
            How many changes.

        Raises:
            DatabaseError, StoreUnavailable: What is left stays in the outbox.
        """
        count = 0
        while not self._stop.is_set and (found := self._relay()):
            count += found
        return count

    def backlog(self, most: int = 100_000) -> int:
        """How many changes wait, counted up to *most*."""
        return Change._default_manager.using(self.alias)[:most].count()

    @property
    def _connection(self) -> BaseDatabaseWrapper:
        return connections[self.alias]  # the thread's own

    def _serve(self) -> None:
        with self._connection.cursor() as cursor:
            for statement in self._dialect.session:
                cursor.execute(statement)
        ear = Ear(self._connection)
        ear.listen()  # Before the first look: what commits between the two is heard.
        interval = self._interval or self._own_interval(ear)
        while not self._stop.is_set:
            if self.drain() == 0:
                self._recover()
                self._drop_unknown()
                ear.wait(interval, self._stop)

    def _own_interval(self, ear: Ear) -> float:
        silent = InstalledTrigger._default_manager.using(self.alias).filter(notifies=False)
        return POLLING if ear.is_deaf or silent.exists() else LISTENING

    def _relay(self) -> int:
        with self._transaction():
            changes = self._some()
            if not changes:
                return 0
            looked = time.monotonic()
            self._references.invalidation.apply(self._touched(changes))
            took = time.monotonic() - looked
            ids = [each.pk for each in changes]
            Change._default_manager.using(self.alias).filter(pk__in=ids).delete()
        self._recover()
        lags = tuple(max(each.now - each.at + took, 0.0) for each in changes)
        relayed = Relayed("", self.alias, lags)
        self._references.emit(relayed)
        self._tell(relayed)
        return len(changes)

    def _transaction(self) -> AbstractContextManager[Any]:
        """Keeps other relays from the same changes; one that locks nothing would only hold up."""
        locks = self._connection.features.has_select_for_update_skip_locked
        return transaction.atomic(using=self.alias) if locks else nullcontext()

    def _some(self) -> list[Any]:
        changes = Change._default_manager.using(self.alias).filter(table__in=self._tables())
        if self._connection.features.has_select_for_update_skip_locked:
            changes = changes.select_for_update(skip_locked=True)
        now = RawSQL(self._dialect.clock, [], FloatField())  # noqa: S611 - a constant
        return list(changes.annotate(now=now).order_by("pk")[: self._batch])

    def _tables(self) -> list[str]:
        return list(self._references.tables(self.alias))

    def _touched(self, changes: Iterable[Change]) -> list[Touched]:
        """What the changes touch; any row of a table stands for all that is said of it."""
        rows: dict[str, list[Any]] = {}
        whole = set()
        for each in changes:
            so_far = rows.setdefault(each.table, [])
            if each.rows is None:
                whole.add(each.table)
            else:  # A number with a fraction stays text: a float would round it.
                so_far += json.loads(each.rows, parse_float=str)
        # References may read the same database through another alias, a pooler's.
        tables = self._references.tables(self.alias, alike=True)
        for name, found in rows.items():
            # Triggers that are older than a key do not note it.
            if any(not row.keys() >= set(tables[name].columns) for row in found):
                whole.add(name)
        return [
            touched
            for name, found in rows.items()
            for touched in tables[name].touched(None if name in whole else found)
        ]

    def _drop_unknown(self) -> None:
        """Forget changes of tables that nobody registers any more."""
        if time.monotonic() < self._looks_at:
            return
        self._looks_at = time.monotonic() + LOOKS_FOR_UNKNOWN
        unknown = Change._default_manager.using(self.alias).exclude(table__in=self._tables())
        for table in set(unknown.values_list("table", flat=True)):
            logger.warning(
                "%s: no reference reads %r, whose changes are in the outbox; they are deleted "
                "when they are %g seconds old. Uninstall its triggers.",
                self.alias, table, KEPT_UNKNOWN,
            )  # fmt: skip
        oldest = RawSQL(f"{self._dialect.clock} - %s", [KEPT_UNKNOWN], FloatField())  # noqa: S611 - as above
        unknown.filter(at__lt=oldest).delete()

    def _sit_out(self, exc: Exception) -> None:
        """Wait until the next attempt; an outage is told once."""
        self._connection.close()
        if not self._outage:
            self._outage = str(exc)
            logger.warning("%s: the relay waits, as it cannot go on: %s", self.alias, exc)
        self._stop.wait(self._pause)
        self._pause = min(self._pause * 2, LONGEST_PAUSE)

    def _recover(self) -> None:
        self._pause = FIRST_PAUSE
        if self._outage:
            self._outage = ""
            logger.warning("%s: the relay goes on.", self.alias)
