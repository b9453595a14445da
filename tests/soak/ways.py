"""The ways to write: each takes rows' keys and a mark, and raises their versions."""

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

from django.db import connection
from django.db.models import F, QuerySet

from refcache.querysets import ReferenceQuerySet
from tests.soak.ledger import Ledger
from tests.soak.models import Row
from tests.soak.rows import TABLE, code_of, is_private, new_row, part_of, plain_rows

FIELDS = ["version", "mark"]
ONE = f"UPDATE {TABLE} SET version = version + 1, mark = %s WHERE id = %s"  # noqa: S608 - ours
PART = f"UPDATE {TABLE} SET mark = %s, version = version + 1 WHERE part = %s"  # noqa: S608 - ours
INSERT = f"INSERT INTO {TABLE} (id, version, mark, code, part) VALUES (%s, %s, %s, %s, %s)"  # noqa: S608 - ours

Way = Callable[["Ways", Sequence[int], str], None]


class Ways:
    """Writes, in a transaction or not, and publishes nothing.

    Args:
        writers: How many.
    """

    def __init__(self, ledger: Ledger, random: Random, writers: int) -> None:
        self._ledger = ledger
        self._random = random
        self._writers = writers

    # One row after the other.

    def save(self, pks: Sequence[int], mark: str) -> None:
        for row in self._instances(pks, mark):
            row.save()

    def save_fields(self, pks: Sequence[int], mark: str) -> None:
        for row in self._instances(pks, mark):
            row.save(update_fields=FIELDS)

    def save_expression(self, pks: Sequence[int], mark: str) -> None:
        for row in plain_rows().filter(pk__in=pks).order_by("pk"):
            row.version, row.mark = F("version") + 1, mark
            row.save(update_fields=FIELDS)

    # Several at once.

    def update(self, pks: Sequence[int], mark: str) -> None:
        self._rows().filter(pk__in=pks).update(version=F("version") + 1, mark=mark)

    def update_by_condition(self, pks: Sequence[int], mark: str) -> None:
        part = part_of(pks[0], self._writers)
        plain_rows().filter(part=part).update(version=F("version") + 1, mark=mark)

    def reference_update(self, pks: Sequence[int], mark: str) -> None:
        part = part_of(pks[0], self._writers)
        _reference_rows().filter(part=part).update(version=F("version") + 1, mark=mark)

    def bulk_update(self, pks: Sequence[int], mark: str) -> None:
        self._rows().bulk_update(self._instances(pks, mark), FIELDS)

    def upsert(self, pks: Sequence[int], mark: str) -> None:
        rows = self._instances(pks, mark)
        unique = None if connection.vendor == "mysql" else ["id"]
        self._rows().bulk_create(
            rows, update_conflicts=True, update_fields=FIELDS, unique_fields=unique
        )

    # SQL.

    def raw(self, pks: Sequence[int], mark: str) -> None:
        with connection.cursor() as cursor:
            if self._is_likely():
                cursor.executemany(ONE, [(mark, pk) for pk in pks])
                return
            for pk in pks:
                cursor.execute(ONE, [mark, pk])

    def raw_by_condition(self, pks: Sequence[int], mark: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(PART, [mark, part_of(pks[0], self._writers)])

    # Rows come and go.

    def delete(self, pks: Sequence[int], mark: str) -> None:
        """Only of the writer's own: nobody else makes or deletes them."""
        found = list(plain_rows().filter(pk__in=pks).order_by("pk"))
        for row in found:
            if not mark.startswith("lost"):
                self._ledger.delete(row.pk)
        delete = self._random.choice([_delete_each, _delete_raw, _delete_set, _delete_reference])
        delete(found)

    def create(self, pks: Sequence[int], mark: str) -> None:
        """Only of the writer's own."""
        known = set(plain_rows().filter(pk__in=pks).values_list("pk", flat=True))
        rows = [self._new(pk, mark) for pk in pks if pk not in known]
        create = self._random.choice([_save_each, _insert_raw, _insert_set, _insert_reference])
        create(rows)

    def replace(self, pks: Sequence[int], mark: str) -> None:
        self.delete(pks, mark)
        self.create(pks, mark)

    # How they do it.

    def _instances(self, pks: Sequence[int], mark: str) -> list[Row]:
        """The rows with their next versions: locked, or nobody else's."""
        rows = plain_rows().filter(pk__in=pks).order_by("pk")
        if connection.in_atomic_block and connection.vendor == "sqlite":
            lock()
        elif connection.in_atomic_block:
            rows = rows.select_for_update()
        found = list(rows)
        for row in found:
            is_ours = is_private(row.pk) and not connection.in_atomic_block
            row.version = self._ledger.now() if is_ours else row.version + 1
            row.mark = mark
        return found

    def _new(self, pk: int, mark: str) -> Row:
        return new_row(pk, self._ledger.now(), mark, self._writers)

    def _rows(self) -> "QuerySet[Row]":
        return _reference_rows() if self._is_likely() else plain_rows()

    def _is_likely(self) -> bool:
        return self._random.random() < 0.5


# Writes of rows that are named, in the order of their names, so that few of them deadlock.
BY_KEYS: dict[str, Way] = {
    "save()": Ways.save,
    "save(update_fields)": Ways.save_fields,
    "save(F())": Ways.save_expression,
    "update(pk__in)": Ways.update,
    "bulk_update()": Ways.bulk_update,
    "bulk_create(upsert)": Ways.upsert,
    "raw SQL": Ways.raw,
}
BY_CONDITION: dict[str, Way] = {
    "update(condition)": Ways.update_by_condition,
    "ReferenceQuerySet.update()": Ways.reference_update,
    "raw SQL, condition": Ways.raw_by_condition,
}
OF_OWN: dict[str, Way] = {
    "delete": Ways.delete,
    "create": Ways.create,
    "delete and create": Ways.replace,
}
# Their new versions are told, not counted up by the database: unlocked, only of private rows.
TOLD = frozenset(["save()", "save(update_fields)", "bulk_update()", "bulk_create(upsert)"])
WAYS = BY_KEYS | BY_CONDITION | OF_OWN


def lock() -> None:
    """Take SQLite's only lock before anything is read, as what is read may be old by then."""
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {TABLE} WHERE 0")  # noqa: S608 - ours


def _reference_rows() -> ReferenceQuerySet[Row]:
    return ReferenceQuerySet(Row)


def _delete_each(rows: list[Row]) -> None:
    for row in rows:
        row.delete()


def _delete_set(rows: list[Row]) -> None:
    plain_rows().filter(pk__in=[row.pk for row in rows]).delete()


def _delete_reference(rows: list[Row]) -> None:
    _reference_rows().filter(code__in=[row.code for row in rows]).delete()


def _delete_raw(rows: list[Row]) -> None:
    with connection.cursor() as cursor:
        for row in rows:
            cursor.execute(f"DELETE FROM {TABLE} WHERE id = %s", [row.pk])  # noqa: S608 - ours


def _save_each(rows: list[Row]) -> None:
    for row in rows:
        row.save(force_insert=True)


def _insert_set(rows: list[Row]) -> None:
    plain_rows().bulk_create(rows)


def _insert_reference(rows: list[Row]) -> None:
    _reference_rows().bulk_create(rows)


def _insert_raw(rows: list[Row]) -> None:
    with connection.cursor() as cursor:
        for row in _values(rows):
            cursor.execute(INSERT, row)


def _values(rows: list[Row]) -> Iterator[list[Any]]:
    return ([row.pk, row.version, row.mark, code_of(row.pk), row.part] for row in rows)
