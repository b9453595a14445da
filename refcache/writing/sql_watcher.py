"""Statements to marks: what no signal announces is seen in the SQL itself."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from django.apps import apps
from django.db import (
    DataError,
    IntegrityError,
    NotSupportedError,
    ProgrammingError,
    connections,
)
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from refcache.sql.sessions import install, is_in_transaction
from refcache.sql.statements import Statement
from refcache.writing.announced import Announced
from refcache.writing.invalidation import Invalidation
from refcache.writing.watches import Watches

# The database has refused the statement; other errors leave open what it has done.
REFUSALS = (DataError, IntegrityError, NotSupportedError, ProgrammingError)


class SqlWatcher:
    """Marks what a statement is about to write, and releases it in autocommit.

    Args:
        watches: What is watched.
        invalidation: Marks and releases.
        announced: What signals have seen to.
    """

    def __init__(
        self, watches: Watches, invalidation: Callable[[], Invalidation], announced: Announced
    ) -> None:
        self._watches = watches
        self._invalidation = invalidation
        self._announced = announced

    def connect(self) -> None:
        """Look at the statements of all connections; harmless when repeated."""
        connection_created.connect(self._on_created, dispatch_uid=f"refcache:{id(self)}")
        for connection in connections.all(initialized_only=True):
            install(connection).watchers.add(self)

    def _on_created(self, connection: BaseDatabaseWrapper, **_: Any) -> None:
        session = install(connection)
        session.restart()
        session.watchers.add(self)

    def is_watching(self, connection: BaseDatabaseWrapper, table: str) -> bool:
        """Whether references read that *table*; where it is empty: any of the database."""
        return apps.ready and self._watches.effects(connection).may_be_of(table)

    def write(
        self,
        connection: BaseDatabaseWrapper,
        statement: Statement,
        sql: str,
        params: Sequence[Any] | None,
        execute: Callable[[], Any],
    ) -> Any:
        """Execute *statement*, marked.

        Raises:
            InvalidationError: A strict reference cannot be marked; nothing was executed.
        """
        alias = connection.alias
        if self._announced.has_insert(alias, statement, params):
            return execute()
        touched: Sequence[Any] = self._watches.effects(connection).of(
            statement, sql, params, partial(self._announced.is_locked, alias)
        )
        invalidation = self._invalidation() if touched else None
        if invalidation is not None and not connection.in_atomic_block:
            touched = self._announced.unmarked(alias, statement, touched, invalidation.marks_hold)
        if invalidation is None or not touched:
            return execute()
        token = invalidation.before_write(alias, touched)
        if token is None:
            return execute()
        try:
            result = execute()
        except REFUSALS:
            invalidation.release(token, touched)
            raise
        if not is_in_transaction(alias):  # It may have begun one.
            invalidation.after_write(token, touched)
        return result
