"""Which entries a row's write touches, told from the instance that is written."""

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from django.db.models import Model

from refcache.core.composition import Node
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
        watches = [each for each in watches if not each.columns.isdisjoint(update_fields)]
    return [touched for each in watches for touched in _touched(instance, each)]


def touched_rows(node: Node, keys: Iterable[Key], primary: Iterable[Key]) -> Touched:
    """The entries of rows by their primary keys, and of the *keys* that lead to them."""
    texts = [key_text(key) for key in primary]
    if node.index is not None:
        texts += [index_text(node.index.index, key) for key in keys]
    return Touched(node.rows.family, tuple(texts))


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
    if is_null(key):
        return None
    try:
        return key_text(watch.cast(key))
    except InvalidKey:  # An expression, or nothing that the database would take as it is.
        return MISSING


def _primary_key(instance: Model, model: type[Model]) -> Any:
    """The primary key of the row of *model* that is, is part of, or extends *instance*."""
    if not isinstance(instance, model):
        # A child shares its parent's key where the link to the parent is its primary key.
        link = model._meta.pk.remote_field
        return instance.pk if link is not None and link.parent_link else MISSING
    is_own = model is type(instance)._meta.concrete_model
    return instance.pk if is_own else getattr(instance, model._meta.pk.attname)


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
