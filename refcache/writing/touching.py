"""Which entries a row's write touches, told from the instance that is written."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from functools import cache
from typing import Any

from django.db.models import Model
from django.db.models.expressions import DatabaseDefault

from refcache.core.composition import Gathered, Node
from refcache.core.exceptions import InvalidKey
from refcache.core.keys import Key, index_text, key_text
from refcache.core.writes import Touched
from refcache.reading.answers import is_null
from refcache.reading.models import AnyField
from refcache.reading.watched import Watch, WatchedIndex

MISSING = object()


def touched_by(
    instance: Model,
    watches: Iterable[Watch],
    update_fields: Collection[str] | None = None,
    *,
    raw: bool = False,
) -> list[Touched]:
    """What a write of *instance* touches.

    Args:
        instance: As it is about to be written, or has been.
        watches: Those of its model, its model's parents and its model's children.
        update_fields: Where only these are written.
        raw: Only the instance's own table is written; what it says of its parent's is not so.
    """
    if update_fields is not None:
        watches = [each for each in watches if each.depends_on(update_fields)]
    found = [touched for each in watches for touched in _touched(instance, each, update_fields)]
    if not raw:
        return found
    elsewhere = {each.family for each in watches if _is_keyed_elsewhere(instance, each)}
    return [each._replace(whole=each.whole or each.family in elsewhere) for each in found]


def touched_by_keys(
    model: type[Model],
    keys: Iterable[object] | None,
    watches: Iterable[Watch],
    update_fields: Collection[str] | None,
) -> list[Touched]:
    """What a write of rows of *model* touches, by their primary keys; None: of any row."""
    if update_fields is not None:
        watches = [each for each in watches if each.depends_on(update_fields)]
    listed = None if keys is None else list(keys)
    if listed is not None and not listed:
        return []
    return [_touched_by_keys(model, listed, each, update_fields) for each in watches]


def _touched_by_keys(
    model: type[Model],
    keys: list[object] | None,
    watch: Watch,
    update_fields: Collection[str] | None,
) -> Touched:
    rows: tuple[Key, ...] = ()
    if keys is not None and shares_key(model, watch.model):
        with suppress(InvalidKey):
            rows = tuple(watch.cast(key) for key in keys)
    if watch.is_whole:
        rows = ()
    elif not watch.watches_sql and update_fields is not None and watch.is_keyed_by(update_fields):
        rows = ()  # Nothing tells which keys they are to have.
    texts = tuple(key_text(key) for key in rows)
    return Touched(watch.family, texts, not rows, watch.grace, rows=rows, is_strict=watch.is_strict)


def touched_rows(node: Node, keys: Iterable[Key], primary: Iterable[Key]) -> Touched:
    """The entries of rows by their primary keys, and of the *keys* that lead to them."""
    rows = tuple(primary)
    texts = [key_text(key) for key in rows]
    if node.index is not None:
        texts += [index_text(node.index.index, key) for key in keys]
    return Touched(node.rows.family, tuple(texts), grace=node.rows.grace, rows=rows)


def touched_by_read(found: Gathered) -> Iterator[Touched]:
    """The entries that an answer was made of, those of spanned rows too."""
    primary = found.primary.values() if found.node.index is not None else found.rows
    yield touched_rows(found.node, found.rows, primary)
    for below in found.spanned:
        yield from touched_by_read(below)


def _touched(
    instance: Model, watch: Watch, update_fields: Collection[str] | None
) -> Iterator[Touched]:
    if watch.is_whole:
        yield Touched(watch.family, (), whole=True, grace=watch.grace, is_strict=watch.is_strict)
        return
    row, key = _row_text(instance, watch)
    texts = [row, *(_index_text(instance, each, update_fields) for each in watch.indexes)]
    known = tuple(text for text in texts if isinstance(text, bytes))
    is_unknown = MISSING in texts
    if known or is_unknown:
        rows = () if key is None else (key,)
        yield Touched(
            watch.family, known, is_unknown, watch.grace, rows=rows, is_strict=watch.is_strict
        )


def _is_keyed_elsewhere(instance: Model, watch: Watch) -> bool:
    own = type(instance)._meta.local_concrete_fields
    return any(each not in own for index in watch.indexes for each in index.fields)


def _row_text(instance: Model, watch: Watch) -> tuple[bytes | object | None, Key | None]:
    """The row's own entry, and its key; None while the key is not known."""
    key = _primary_key(instance, watch.model)
    if key is MISSING or is_null(key) or isinstance(key, DatabaseDefault):
        return MISSING if key is MISSING else None, None
    try:
        cast = watch.cast(key)
    except InvalidKey:  # An expression, or nothing that the database would take as it is.
        return MISSING, None
    return key_text(cast), cast


def _primary_key(instance: Model, watched: type[Model]) -> Any:
    """The primary key of the row of *watched* that shares a table with *instance*.

    MISSING where the instance does not hold it: a child shares its parent's key only by a link
    that is its own primary key.
    """
    written = type(instance)._meta.concrete_model or type(instance)
    if written is watched:
        return instance.pk
    model = _keyed_in(lineage(written), watched)
    return MISSING if model is None else getattr(instance, model._meta.pk.attname)


def shares_key(model: type[Model], watched: type[Model]) -> bool:
    """Whether rows of *watched* have the primary keys of the rows of *model* that they are."""
    written = model._meta.concrete_model or model
    found = _keyed_in(frozenset({written}), watched)
    if found is None:  # A child's row is its parent's, too.
        found = _keyed_in(frozenset({watched}), written)
    return found is not None


def _keyed_in(tables: Collection[type[Model]], watched: type[Model]) -> type[Model] | None:
    """The model among *tables* whose primary key is that of *watched*."""
    model = watched
    while model not in tables:
        link = model._meta.pk.remote_field
        if link is None or not link.parent_link:
            return None
        model = link.model
    return model


@cache
def lineage(model: type[Model]) -> frozenset[type[Model]]:
    """The models whose tables hold a row of *model*: itself, and what it inherits from."""
    options = model._meta
    return frozenset({options.concrete_model or model, *options.all_parents})


def _index_text(
    instance: Model, index: WatchedIndex, update_fields: Collection[str] | None
) -> bytes | object | None:
    """The entry for the key that the row is to have: an absence may be remembered there.

    None where the write leaves the key alone. MISSING where it is not known: of a key that is
    written in part, somebody else may write the rest at the same time.
    """
    if index.is_generated:  # Only the database knows.
        return MISSING
    written = [each for each in index.fields if _is_written(instance, each, update_fields)]
    if len(written) < len(index.fields):
        return MISSING if written else None
    values = [instance.__dict__[each.attname] for each in written]
    key = values[0] if len(values) == 1 else tuple(values)
    if is_null(key):
        return None
    try:
        return index_text(index.names, index.cast(key))
    except InvalidKey:
        return MISSING


def _is_written(instance: Model, column: AnyField, update_fields: Collection[str] | None) -> bool:
    if column.attname not in instance.__dict__:  # What is not loaded is not saved.
        return False
    return update_fields is None or not {column.name, column.attname}.isdisjoint(update_fields)
