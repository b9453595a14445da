"""The rows as the database has them, and whose they are."""

from typing import Any

from django.db import connection
from django.db.models import QuerySet

from tests.soak.ledger import Ledger
from tests.soak.models import Row

PARTS = 4  # of the shared rows; private ones have a part of their own, per writer
PRIVATE_PART = 100
TABLE = Row._meta.db_table


def code_of(pk: int) -> str:
    return f"c{pk}"


def owner_of(pk: int, writers: int) -> int:
    """The only writer that makes and deletes the row."""
    return pk // 4 % writers


def is_private(pk: int) -> bool:
    """Whether nobody but its owner writes the row, so that it needs no lock."""
    return pk % 4 == 0


def part_of(pk: int, writers: int) -> int:
    return PRIVATE_PART + owner_of(pk, writers) if is_private(pk) else pk % PARTS


def new_row(pk: int, version: int, mark: str, writers: int) -> Row:
    return Row(pk=pk, version=version, mark=mark, code=code_of(pk), part=part_of(pk, writers))


def plain_rows() -> "QuerySet[Row]":
    """Of Django's own kind."""
    return QuerySet(Row)


def stored() -> dict[int, tuple[int, str]]:
    """Version and mark by primary key, not through refcache."""
    rows = plain_rows().values_list("pk", "version", "mark")
    return {pk: (version, mark) for pk, version, mark in rows}


def observe(ledger: Ledger) -> list[int]:
    """Per row the version that is in the database now, as this connection sees it."""
    # Before: an absence that is announced later may not be the one that is seen.
    absences, rows = ledger.absences(), stored()
    return [rows[pk][0] if pk in rows else absences[pk] for pk in range(ledger.rows)]


def backend_id() -> int:
    """The process or thread of the server that serves this connection; 0 where there is none."""
    connection.ensure_connection()
    driver: Any = connection.connection
    if connection.vendor == "postgresql":
        return int(driver.info.backend_pid)
    return int(driver.thread_id()) if connection.vendor == "mysql" else 0


SERVED = {
    "postgresql": "SELECT 1 FROM pg_stat_activity WHERE pid = %s",
    "mysql": "SELECT 1 FROM information_schema.processlist WHERE id = %s",
}


def is_served(backend: int) -> bool:
    """Whether that process of the server still does what a killed writer has told it."""
    if not backend or connection.vendor not in SERVED:
        return False
    with connection.cursor() as cursor:
        cursor.execute(SERVED[connection.vendor], [backend])
        return cursor.fetchone() is not None
