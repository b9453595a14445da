"""Signals to marks: before a row is written, and released when that is over."""

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import ExitStack
from typing import Any
from weakref import ref

from django.apps import apps
from django.db import connections
from django.db.models import Model
from django.db.models.signals import post_delete, post_save, pre_delete, pre_save

from refcache.core.writes import Touched
from refcache.sql.sessions import is_in_transaction
from refcache.writing.announced import Announced, Save
from refcache.writing.bulk import bulk_insert, bulk_write
from refcache.writing.invalidation import Invalidation
from refcache.writing.tables import table_name
from refcache.writing.touching import lineage, touched_by, touched_by_keys
from refcache.writing.watches import Watches, is_related


class Receivers:
    """Receives the signals of the models that references read, and of no others.

    A receiver for all models would make every `delete()` of the project read its rows first.

    Args:
        watches: What is watched.
        invalidation: Marks and releases.
        announced: Is told of what the SQL watcher need not mark.
    """

    def __init__(
        self, watches: Watches, invalidation: Callable[[], Invalidation], announced: Announced
    ) -> None:
        self._watches = watches
        self._invalidation = invalidation
        self._announced = announced

    def connect(self, model: type[Model]) -> None:
        """Listen to *model* and to all models whose writes reach its rows."""
        for each in related_models(model):
            uid = f"refcache:{id(self)}"
            pre_save.connect(self.before_save, sender=each, dispatch_uid=uid)
            post_save.connect(self.after_save, sender=each, dispatch_uid=uid)
            pre_delete.connect(self.before_delete, sender=each, dispatch_uid=uid)
            post_delete.connect(self.after_delete, sender=each, dispatch_uid=uid)
            bulk_write.connect(self.on_bulk_write, sender=each, dispatch_uid=uid)
            bulk_insert.connect(self.on_bulk_insert, sender=each, dispatch_uid=uid)

    def before_save(
        self,
        instance: Model,
        using: str,
        update_fields: Collection[str] | None = None,
        raw: bool = False,  # noqa: FBT001, FBT002 - as Django's signals have it
        **_: Any,
    ) -> None:
        touched = self._touched(instance, update_fields, "save", raw=raw)
        if not touched and update_fields is not None:
            return
        token = self._invalidation().before_write(using, touched)
        tables = frozenset(table_name(model) for model in lineage(type(instance)))
        self._announced.save(Save(ref(instance), using, tables, token, touched))

    def after_save(
        self,
        instance: Model,
        using: str,
        update_fields: Collection[str] | None = None,
        raw: bool = False,  # noqa: FBT001, FBT002 - as Django's signals have it
        **_: Any,
    ) -> None:
        """Release, in autocommit; and see to keys that the database has made."""
        touched = self._touched(instance, update_fields, "save", raw=raw)
        if not touched:
            return
        save, invalidation = self._announced.saved(instance), self._invalidation()
        if is_in_transaction(using):
            invalidation.before_write(using, touched)
        elif save is not None and save.token is not None:
            invalidation.after_write(save.token, [*save.touched, *touched])

    def before_delete(self, instance: Model, using: str, **_: Any) -> None:
        self._mark_deleted(instance, using)

    def after_delete(self, instance: Model, using: str, **_: Any) -> None:
        """Mark what could not be marked before; Django deletes within a transaction."""
        self._mark_deleted(instance, using)

    def on_bulk_write(
        self,
        sender: type[Model],
        using: str,
        keys: Iterable[Any] | None,
        instances: Iterable[Model],
        update_fields: Collection[str] | None,
        cause: str,
        stack: ExitStack,
        **_: Any,
    ) -> None:
        """Mark the rows of *keys*, or any row where it is None, and those of *instances*."""
        if keys:
            stack.enter_context(self._announced.rows(using, keys))
        watches = self._watches.of_model(sender)
        touched = touched_by_keys(sender, keys, watches, update_fields)
        for each in instances:
            touched += touched_by(each, watches, update_fields)
        if touched:
            caused = [each._replace(cause=cause) for each in touched]
            self._invalidation().before_write(using, caused)

    def on_bulk_insert(self, sender: type[Model], using: str, stack: ExitStack, **_: Any) -> None:
        """Leave the inserts to whoever tells of them by `bulk_write`."""
        stack.enter_context(self._announced.bulk(using, {table_name(m) for m in lineage(sender)}))

    def _mark_deleted(self, instance: Model, using: str) -> None:
        effects = self._watches.effects(connections[using])
        touched = [
            each
            for each in self._touched(instance, None, "delete")
            # The statement marks all of its rows at once.
            if not effects.names_rows(each.family)
        ]
        if touched:
            self._invalidation().before_write(using, touched)

    def _touched(
        self,
        instance: Model,
        update_fields: Collection[str] | None,
        cause: str,
        *,
        raw: bool = False,
    ) -> Sequence[Touched]:
        watches = self._watches.of_model(type(instance))
        touched = touched_by(instance, watches, update_fields, raw=raw)
        return [each._replace(cause=cause) for each in touched]


def related_models(model: type[Model]) -> list[type[Model]]:
    """The models whose writes reach the rows of *model*, proxies included."""
    return [each for each in apps.get_models(include_auto_created=True) if is_related(each, model)]
