"""The application's own writer: python -m tests.real.django_writer LEDGER SEED PKS.

Save, update, in a transaction or not, and roll back; refcache sees all of it.
"""

import sys
from collections.abc import Callable
from typing import Any

import django
from django.apps import apps
from django.db import transaction
from django.db.models import Case, QuerySet, Value, When

from refcache import InvalidationError
from tests.real.ledger import name_of
from tests.real.writing import Rows

Versions = dict[int, int]


def main() -> None:
    django.setup()
    ways = [_save, _save_together, _update, _roll_back]
    Rows(sys.argv[1:]).write_until_told([_unless_refused(way) for way in ways])


def _unless_refused(write: Callable[[Versions], bool]) -> Callable[[Versions], bool]:
    """The references are strict: where Redis takes too long for a mark, nothing is written."""

    def attempt(versions: Versions) -> bool:
        try:
            return write(versions)
        except InvalidationError:
            return False

    return attempt


def _save(versions: Versions) -> bool:
    """Each in autocommit; all are new when the last one is."""
    for row in _rows(versions):
        row.name = name_of(row.pk, versions[row.pk])
        row.save()
    return True


def _save_together(versions: Versions) -> bool:
    with transaction.atomic():
        return _save(versions)


def _update(versions: Versions) -> bool:
    names = [When(pk=pk, then=Value(name_of(pk, new))) for pk, new in versions.items()]
    _rows(versions).update(name=Case(*names))
    return True


def _roll_back(versions: Versions) -> bool:
    with transaction.atomic():
        for row in _rows(versions):
            row.name = name_of(row.pk, versions[row.pk], lost=True)
            row.save()
        transaction.set_rollback(True)
    return False


def _rows(versions: Versions) -> "QuerySet[Any]":
    models: Any = apps  # The example's are no part of what is checked here.
    rows: QuerySet[Any] = models.get_model("customers.Customer")._default_manager.all()
    return rows.filter(pk__in=versions)


if __name__ == "__main__":
    main()
