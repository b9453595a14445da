"""Which entries a row's write touches, told from the instance that is written."""

from collections.abc import Collection, Iterable, Iterator
from functools import cache
from typing import Any

from django.db.models import Model
from django.db.models.expressions import DatabaseDefault

from refcache.core.composition import Gathered, Node
from refcache.core.exceptions import InvalidKey
from refcache.core.keys import Key, index_text, key_text
from refcache.core.writes import Touched
from refcache.reading.answers import is_null
from refcache.reading.rows import Watch, WatchedIndex

MISSING = object()


def touched_by(
    instance: Model, watches: Iterable[Watch], update_fields: Collection[str] | None = None
) -> list[Touched]:
    """What a write of *instance* touches.

    Args:
        instance: As it is about to be written, or has been.
        watches: Those of its model, its model's parents and its model's children.
        update_fields: Where only these are written.
    """
    if update_fields is not None:
        watches = [each for each in watches if each.depends_on(update_fields)]
    return [touched for each in watches for touched in _touched(instance, each)]


def touched_rows(node: Node, keys: Iterable[Key], primary: Iterable[Key]) -> Touched:
    """The entries of rows by their primary keys, and of the *keys* that lead to them."""
    texts = [key_text(key) for key in primary]
    if node.index is not None:
        texts += [index_text(node.index.index, key) for key in keys]
    return Touched(node.rows.family, tuple(texts))


def touched_by_read(found: Gathered) -> Iterator[Touched]:
    """The entries that an answer was made of, those of spanned rows too."""
    primary = found.primary.values() if found.node.index is not None else found.rows
    yield touched_rows(found.node, found.rows, primary)
    for below in found.spanned:
        yield from touched_by_read(below)


def _touched(instance: Model, watch: Watch) -> Iterator[Touched]:
    texts = []
    is_unknown = False
    for text in (_row_text(instance, watch), *(_index_text(instance, i) for i in watch.indexes)):
        if text is MISSING:
            is_unknown = True
        elif isinstance(text, bytes):
            texts.append(text)
    if texts or is_unknown:
        yield Touched(watch.family, tuple(texts), whole=is_unknown)


def _row_text(instance: Model, watch: Watch) -> bytes | object | None:
    """The row's own entry; None while the key is not known."""
    key = _primary_key(instance, watch.model)
    if key is MISSING or is_null(key) or isinstance(key, DatabaseDefault):
        return MISSING if key is MISSING else None
    try:
        return key_text(watch.cast(key))
    except InvalidKey:  # An expression, or nothing that the database would take as it is.
        return MISSING


def _primary_key(instance: Model, watched: type[Model]) -> Any:
    """The primary key of the row of *watched* that shares a table with *instance*.

    MISSING where the instance does not hold it: a child shares its parent's key only by a link
    that is its own primary key.
    """
    written = type(instance)._meta.concrete_model or type(instance)
    if written is watched:
        return instance.pk
    tables, model = lineage(written), watched
    while model not in tables:
        link = model._meta.pk.remote_field
        if link is None or not link.parent_link:
            return MISSING
        model = link.model
    return getattr(instance, model._meta.pk.attname)


@cache
def lineage(model: type[Model]) -> frozenset[type[Model]]:
    """The models whose tables hold a row of *model*: itself, and what it inherits from."""
    options = model._meta
    return frozenset({options.concrete_model or model, *options.all_parents})


def _index_text(instance: Model, index: WatchedIndex) -> bytes | object | None:
    """The entry for the key that the row is to have: an absence may be remembered there.

    None where the write leaves it alone: what is not loaded is not saved.
    """
    if index.is_generated:  # Only the database knows.
        return MISSING
    values = [instance.__dict__.get(name, MISSING) for name in index.attributes]
    if MISSING in values:
        return None
    key = values[0] if len(values) == 1 else tuple(values)
    if is_null(key):
        return None
    try:
        return index_text(index.names, index.cast(key))
    except InvalidKey:
        return MISSING
