"""Signals to marks: before a row is written, and released when that is over."""

import threading
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple
from weakref import ref

from django.apps import apps
from django.db.models import Model
from django.db.models.signals import post_delete, post_save, pre_delete, pre_save

from refcache.core.writes import Touched
from refcache.reading.origin import is_in_transaction
from refcache.reading.rows import Watch
from refcache.writing.invalidation import Invalidation
from refcache.writing.touching import lineage, touched_by

DEEPEST = 100  # saves within saves; what is older has failed, on an instance that lives on


class Pending(NamedTuple):
    """A write in autocommit that has been marked, until its `post_` signal comes."""

    instance: ref[Model]
    token: bytes
    touched: Sequence[Touched]


class Receivers:
    """Receives the signals of the models that references read, and of no others.

    A receiver for all models would make every `delete()` of the project read its rows first.

    Args:
        watches: Gives the watches; asked at each signal, as registering goes on for a while.
        invalidation: Marks and releases.
    """

    def __init__(
        self, watches: Callable[[], Sequence[Watch]], invalidation: Callable[[], Invalidation]
    ) -> None:
        self._watches = watches
        self._invalidation = invalidation
        self._pending = threading.local()
        self._all: Sequence[Watch] = ()
        self._by_model: dict[type[Model], list[Watch]] = {}

    def connect(self, model: type[Model]) -> None:
        """Listen to *model* and to all models whose writes reach its rows."""
        for each in related_models(model):
            uid = f"refcache:{id(self)}"
            pre_save.connect(self.before_save, sender=each, dispatch_uid=uid)
            post_save.connect(self.after_save, sender=each, dispatch_uid=uid)
            pre_delete.connect(self.before_delete, sender=each, dispatch_uid=uid)
            post_delete.connect(self.after_delete, sender=each, dispatch_uid=uid)

    def before_save(
        self,
        instance: Model,
        using: str,
        update_fields: Collection[str] | None = None,
        **_: Any,
    ) -> None:
        self._mark(instance, using, update_fields)

    def before_delete(self, instance: Model, using: str, **_: Any) -> None:
        self._mark(instance, using, None)

    def after_save(
        self,
        instance: Model,
        using: str,
        update_fields: Collection[str] | None = None,
        **_: Any,
    ) -> None:
        """Release, in autocommit; and see to keys that the database has made."""
        touched = touched_by(instance, self._watches_of(type(instance)), update_fields)
        if not touched:
            return
        invalidation = self._invalidation()
        if is_in_transaction(using):
            invalidation.before_write(using, touched)
            return
        pending = self._take_pending(instance)
        if pending is not None:
            invalidation.release(pending.token, [*pending.touched, *touched])

    def after_delete(self, instance: Model, using: str, **_: Any) -> None:
        """Mark what could not be marked before; Django deletes within a transaction."""
        self._mark(instance, using, None)

    def _mark(self, instance: Model, using: str, update_fields: Collection[str] | None) -> None:
        touched = touched_by(instance, self._watches_of(type(instance)), update_fields)
        if not touched and update_fields is not None:
            return
        token = self._invalidation().before_write(using, touched)
        if token is not None:
            stack = self._stack()
            stack.append(Pending(ref(instance), token, touched))
            del stack[:-DEEPEST]

    def _watches_of(self, model: type[Model]) -> list[Watch]:
        watches = self._watches()
        if watches is not self._all:
            self._all, self._by_model = watches, {}
        if model not in self._by_model:
            self._by_model[model] = [w for w in watches if is_related(model, w.model)]
        return self._by_model[model]

    def _stack(self) -> list[Pending]:
        """This thread's writes under way; a save may save others before it is done.

        A save that failed has no `post_save`: its markers expire, as nobody can say whether the
        database has done what it was asked.
        """
        stack: list[Pending] = getattr(self._pending, "stack", [])
        self._pending.stack = stack = [each for each in stack if each.instance() is not None]
        return stack

    def _take_pending(self, instance: Model) -> Pending | None:
        """The write of *instance*; what stands above it has failed."""
        stack = self._stack()
        for place in range(len(stack) - 1, -1, -1):
            if stack[place].instance() is instance:
                found = stack[place]
                del stack[place:]
                return found
        return None


def is_related(model: type[Model], watched: type[Model]) -> bool:
    """Whether a write of *model* reaches rows of *watched*: they share a table."""
    return not lineage(model).isdisjoint(lineage(watched))


def related_models(model: type[Model]) -> list[type[Model]]:
    """The models whose writes reach the rows of *model*, proxies included."""
    return [each for each in apps.get_models(include_auto_created=True) if is_related(each, model)]
