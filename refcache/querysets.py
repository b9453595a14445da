"""A queryset whose bulk writes mark rows, one by one, where Django's own would mark a reference."""

from collections.abc import Collection, Iterable, Sequence
from contextlib import ExitStack
from typing import Any, TypeVar

from django.db import connections, transaction
from django.db.models import Manager, Model, QuerySet

from refcache.conf import conf
from refcache.writing.bulk import bulk_insert, bulk_write

M = TypeVar("M", bound=Model)
Rows = QuerySet[Any]


class ReferenceQuerySet(QuerySet[M]):
    """Tells refcache which rows `update`, `bulk_update`, `bulk_create` and raw deletes write.

    `update` and raw deletes lock their rows by their keys (`FOR UPDATE`), mark them, and write them
    by those keys, in one transaction. `bulk_update` marks the keys of its instances: its SQL names
    them, so nothing is locked. `bulk_create` marks after the insert, before the commit. More than
    `REFCACHE["BULK_LIMIT"]` rows: the whole reference is dropped instead.

    `update` and raw deletes cost two queries more on PostgreSQL, one on MySQL and MariaDB, three
    on SQLite.
    """

    def update(self, **kwargs: Any) -> int:
        if not _can_lock(self):
            return super().update(**kwargs)
        using = self._primary()
        with transaction.atomic(using=using, savepoint=False), ExitStack() as stack:
            keys = _locked_keys(self, using)
            _tell(self.model, using, "update", stack, keys=keys, fields=list(kwargs))
            if keys is None:
                return super().update(**kwargs)
            return QuerySet.update(_by_keys(self, using, keys), **kwargs) if keys else 0

    update.alters_data = True  # type: ignore[attr-defined]

    def bulk_update(
        self, objs: Iterable[M], fields: Iterable[str], batch_size: int | None = None
    ) -> int:
        objs, fields = tuple(objs), list(fields)
        # Django's own does it by `update()`, which here would lock the rows once more.
        plain: Rows = QuerySet(self.model, self.query.chain(), self._primary())
        with transaction.atomic(using=plain.db, savepoint=False), ExitStack() as stack:
            if objs and len(objs) <= conf().bulk_limit:
                _tell(self.model, plain.db, "bulk_update", stack, instances=objs, fields=fields)
            elif objs:
                _tell(self.model, plain.db, "bulk_update", stack, keys=None, fields=fields)
            return plain.bulk_update(objs, fields, batch_size)

    bulk_update.alters_data = True  # type: ignore[attr-defined]

    def bulk_create(self, objs: Iterable[M], *args: Any, **kwargs: Any) -> list[M]:
        objs = list(objs)
        had_keys = [_has_key(each) for each in objs]
        using = self._primary()
        with transaction.atomic(using=using, savepoint=False), ExitStack() as stack:
            bulk_insert.send(sender=self.model, using=using, stack=stack)
            made = super().bulk_create(objs, *args, **kwargs)
            # After the rows, as only now all of their keys are known; still before the commit.
            if len(objs) <= conf().bulk_limit and _are_rows(objs, had_keys, kwargs):
                _tell(self.model, using, "bulk_create", stack, instances=objs)
            else:
                _tell(self.model, using, "bulk_create", stack, keys=None)
            return made

    bulk_create.alters_data = True  # type: ignore[attr-defined]

    def _raw_delete(self, using: str | None) -> int:
        """Django's own way to delete rows that nothing depends on."""
        if not _can_lock(self):
            return super()._raw_delete(using)
        alias = using or self._primary()
        with transaction.atomic(using=alias, savepoint=False), ExitStack() as stack:
            keys = _locked_keys(self, alias)
            _tell(self.model, alias, "delete", stack, keys=keys)
            if keys is None:
                return super()._raw_delete(alias)
            return _raw_delete(_by_keys(self, alias, keys), alias) if keys else 0

    _raw_delete.alters_data = True  # type: ignore[attr-defined]

    def _primary(self) -> str:
        """Where it writes to, whatever it would be read from."""
        self._for_write = True
        return self.db


ReferenceManager = Manager.from_queryset(ReferenceQuerySet, "ReferenceManager")


def _can_lock(rows: Rows) -> bool:
    """Whether somebody listens; what cannot be written at all is refused by Django."""
    query = rows.query
    is_whole = not (query.is_sliced or query.combinator or query.distinct_fields)
    return is_whole and bulk_write.has_listeners(rows.model)


def _locked_keys(rows: Rows, using: str) -> list[Any] | None:
    """The primary keys of the rows, which nobody else can write now; None where too many."""
    limit, connection = conf().bulk_limit, connections[using]
    if connection.vendor == "sqlite":
        # It has no locks of rows; a write takes the database's, which would come too late for
        # what was read if somebody else had written in between.
        table = connection.ops.quote_name(rows.model._meta.db_table)
        with connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {table} WHERE 0")  # noqa: S608 - a table's name
    wanted = rows.using(using).order_by("pk")  # in one order, so that two writers do not deadlock
    if connection.vendor == "mysql":
        # Above READ COMMITTED only what is locked is read as it now is.
        keys = list(wanted.select_for_update().values_list("pk", flat=True)[: limit + 1])
        return keys if len(keys) <= limit else None
    locking = _all(rows.model, using).filter(pk__in=wanted.order_by().values("pk"))
    locked = list(
        locking.order_by("pk").select_for_update().values_list("pk", flat=True)[: limit + 1]
    )
    if len(locked) > limit:
        return None
    # What somebody else has changed before it was locked may not match any more.
    return list(wanted.filter(pk__in=locked).values_list("pk", flat=True))


def _all(model: type[Model], using: str) -> Rows:
    """Without what a manager leaves out."""
    return QuerySet(model, using=using)


def _by_keys(rows: Rows, using: str, keys: Sequence[Any]) -> Rows:
    """The rows of *keys*; annotations stay, as they may be assigned, and so does the order.

    MySQL updates in that order, and looks at unique columns row by row.
    """
    is_plain = not (rows.query.annotations or rows.query.order_by)
    # Not the subclass, which would lock them once more.
    found: Rows = QuerySet(rows.model, None if is_plain else rows.query.chain(), using)
    return found.filter(pk__in=keys)


def _raw_delete(rows: Any, using: str) -> int:
    deleted: int = rows._raw_delete(using)  # noqa: SLF001 - a queryset's own
    return deleted


def _has_key(row: Model) -> bool:
    """Whether its key is known: the database may be about to make it."""
    values = row.pk if isinstance(row.pk, tuple) else (row.pk,)
    return not any(value is None or hasattr(value, "resolve_expression") for value in values)


def _are_rows(objs: Sequence[Model], had_keys: Sequence[bool], options: dict[str, Any]) -> bool:
    """Whether what was inserted, or changed instead, are the rows of *objs*."""
    if options.get("ignore_conflicts"):
        return all(had_keys)
    if options.get("update_conflicts") and any(had_keys):
        # A row with another key may have been in the way, unless the key is what is looked at.
        unique = set(options.get("unique_fields") or ())
        return all(had_keys) and bool(unique) and unique <= {"pk", objs[0]._meta.pk.name}
    return all(map(_has_key, objs))


def _tell(
    model: type[Model],
    using: str,
    cause: str,
    stack: ExitStack,
    *,
    keys: Sequence[Any] | None = (),
    instances: Sequence[Model] = (),
    fields: Collection[str] | None = None,
) -> None:
    bulk_write.send(
        sender=model,
        using=using,
        keys=keys,
        instances=instances,
        update_fields=fields,
        cause=cause,
        stack=stack,
    )
