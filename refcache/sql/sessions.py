"""A connection's session: what its statements have told of the transaction that it is in."""

import re
from collections.abc import Callable, Sequence
from typing import Any, Protocol
from weakref import WeakSet

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from refcache.sql.statements import Statement, Verb, analyse, is_read, sole_table

Execute = Callable[[Any, Any, bool, dict[str, Any]], Any]

# True where the next statement sees the latest commit, and nobody else's reads can be misled.
POSTGRESQL_MAY_FILL = (
    "SELECT current_setting('transaction_isolation') = 'read committed' "
    "AND pg_current_xact_id_if_assigned() IS NULL"
)
BEGINS = frozenset(["BEGIN", "START", "XA"])
ENDS = re.compile(r"\s*(?:ABORT|END|(?:XA\s+)?(?:COMMIT|ROLLBACK))\b(?!(?:\s+WORK)?\s+TO\b)")
# One of several statements; not a block, nor the body of what is created.
MAY_BEGIN = re.compile(
    r"(?!\s*(?:CREATE|ALTER)\b)(?=.*;)(?:.*;)?\s*"
    r"(?:BEGIN\b(?!\s+NOT\b)|START\s+TRANSACTION|XA\s|SET\b.*AUTOCOMMIT|\w+\s+AND\s+CHAIN)",
    re.DOTALL,
)
CHAINS = re.compile(r"\bAND\s+CHAIN\b")
AUTOCOMMIT = re.compile(r"(?<!\w)(?<!(?<!@)@)AUTOCOMMIT\s*:?=\s*'?(\w+)")
IDLE = 0  # libpq's PQTRANS_IDLE, which psycopg hands on


class Watcher(Protocol):
    """Who is told of a write before it is executed, and executes it."""

    def is_watching(self, connection: BaseDatabaseWrapper, table: str) -> bool: ...

    def write(
        self, connection: BaseDatabaseWrapper, statement: Statement, sql: str, params: Any,
        execute: Callable[[], Any],
    ) -> Any: ...  # fmt: skip


class Session:
    """An execute wrapper that notes what it sees, and tells the watchers of writes.

    https://docs.djangoproject.com/en/stable/topics/db/instrumentation/
    """

    def __init__(self) -> None:
        self.watchers: WeakSet[Watcher] = WeakSet()
        self.restart()

    def restart(self) -> None:
        """Forget the session: the connection is a new one."""
        self.is_begun = False
        self.is_manual = False
        self._writes = 0
        self._asked_at = -1
        self._is_allowed = False

    def __call__(
        self,
        execute: Execute,
        sql: Any,
        params: Any,
        many: bool,  # noqa: FBT001 - as Django calls it
        context: dict[str, Any],
    ) -> Any:
        if type(sql) is str and is_read(sql):
            return execute(sql, params, many, context)

        def perform() -> Any:
            return execute(sql, params, many, context)

        connection = context["connection"]
        text = text_of(sql, connection)
        told = None if many or not isinstance(params, list | tuple | None) else params or ()
        return self._look(connection, text, told, perform)

    def _look(
        self,
        connection: BaseDatabaseWrapper,
        sql: str,
        params: Sequence[Any] | None,
        perform: Callable[[], Any],
    ) -> Any:
        table = sole_table(sql)
        watchers = [each for each in self.watchers if each.is_watching(connection, table)]
        # A write to another table needs no closer look.
        statement = None if table and not watchers else analyse(sql)
        self._writes += statement is None or statement.verb is not Verb.READ
        if statement is not None and connection.vendor == "mysql":
            self._note(connection, statement, sql.upper())
        if statement is not None and statement.is_write:
            for watcher in watchers:
                perform = _told(watcher, connection, statement, sql, params, perform)
        return perform()

    def _note(self, connection: BaseDatabaseWrapper, statement: Statement, said: str) -> None:
        """Whether a transaction is begun without Django; other databases' drivers know."""
        if connection.in_atomic_block:  # Its own transaction has ended any other.
            self.is_begun = False
        elif statement.verb is Verb.OTHER:
            self.is_begun = self.is_begun or MAY_BEGIN.match(said) is not None
        elif ENDS.match(said):
            self.is_begun = bool(CHAINS.search(said))
        elif statement.word in BEGINS:
            self.is_begun = True
        elif found := AUTOCOMMIT.findall(said):
            self.is_manual = not all(value in ("1", "ON", "TRUE") for value in found)

    def allow(self, connection: BaseDatabaseWrapper, *, again: bool) -> bool:
        """Whether what the transaction under way reads is the latest commit, and no less.

        Only PostgreSQL can be asked whether it has written: a function in a SELECT may have.

        Args:
            connection: Whose session this is.
            again: It was asked before, and only what has happened since can change the answer.
        """
        if connection.vendor != "postgresql":
            return False
        if not (again and self._asked_at == self._writes):
            self._asked_at, self._is_allowed = self._writes, _ask(connection)
        return self._is_allowed

    @property
    def is_allowed(self) -> bool:
        """Whether `allow` has said so, and nothing has happened since."""
        return self._asked_at == self._writes and self._is_allowed


def _told(
    watcher: Watcher, connection: BaseDatabaseWrapper, statement: Statement, sql: str,
    params: Sequence[Any] | None, execute: Callable[[], Any],
) -> Callable[[], Any]:  # fmt: skip
    return lambda: watcher.write(connection, statement, sql, params, execute)


def install(connection: BaseDatabaseWrapper) -> Session:
    """The session of *connection*, which is made where there is none."""
    session = session_of(connection)
    if session is None:
        session = Session()
        # In front: `execute_wrapper()` takes the last one off again, whosever that is.
        connection.execute_wrappers.insert(0, session)
    return session


def session_of(connection: BaseDatabaseWrapper) -> Session | None:
    found = (each for each in connection.execute_wrappers if isinstance(each, Session))
    return next(found, None)


def is_in_transaction(alias: str) -> bool:
    """Whether a statement on *alias* is committed later than at its own end."""
    connection = connections[alias]
    if connection.in_atomic_block:
        return True
    driver = connection.connection
    if driver is None:
        return not connection.settings_dict["AUTOCOMMIT"]
    return not connection.autocommit or _is_begun(connection, driver)


def may_fill(alias: str, *, again: bool = False) -> bool:
    """Whether the next statement on *alias* sees the latest commit, and nothing uncommitted.

    One query in a transaction on PostgreSQL.

    Args:
        alias: The database.
        again: It may, a moment ago.
    """
    if not is_in_transaction(alias):
        return True
    connection = connections[alias]
    session = session_of(connection)
    return session is not None and session.allow(connection, again=again)


def is_known_to_fill(alias: str) -> bool:
    """As `may_fill`, but without a query: as far as one has told since the last write."""
    if not is_in_transaction(alias):
        return True
    session = session_of(connections[alias])
    return session is not None and session.is_allowed


def text_of(sql: Any, connection: BaseDatabaseWrapper) -> str:
    """A statement's text; psycopg has objects for what is composed."""
    if isinstance(sql, str):
        return sql
    if isinstance(sql, bytes):
        return sql.decode(errors="replace")
    if hasattr(sql, "as_string"):
        return str(sql.as_string(connection.connection))
    return str(sql)


def _is_begun(connection: BaseDatabaseWrapper, driver: Any) -> bool:
    """Whether a transaction was begun without Django."""
    if connection.vendor == "postgresql":
        return bool(driver.info.transaction_status != IDLE)
    if connection.vendor == "sqlite":
        return bool(driver.in_transaction)
    session = session_of(connection)
    return session is not None and (session.is_begun or session.is_manual)


def _ask(connection: BaseDatabaseWrapper) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(POSTGRESQL_MAY_FILL)
        return bool(cursor.fetchone()[0])
