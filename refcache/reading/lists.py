"""Lists of keys, by a condition on the rows: `keys_where`.

Any write that may change who belongs to a list touches all lists of its reference, by their epoch:
nobody has to know which lists a row was in. So they are entries of a family of their own, and are
right after any write, whatever the condition.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import connections

from refcache.core.composition import Node, Wanted, resolve
from refcache.core.events import Resolved
from refcache.core.exceptions import InvalidCondition, InvalidReference, ReferenceUnavailable
from refcache.core.key_lists import KeyListCodec
from refcache.core.keys import Key, family, schema_id
from refcache.core.sources import FAILED, Source
from refcache.core.staleness import Policy
from refcache.core.terms import Steps, Terms
from refcache.declaration import Declaration
from refcache.reading.columns import column_for
from refcache.reading.conditions import condition
from refcache.reading.filters import filtered_fields
from refcache.reading.models import AnyField, origin_of
from refcache.reading.paths import Branch, branch
from refcache.reading.rows import Rows, fingerprint
from refcache.reading.watched import Watch, watch_of


@dataclass(frozen=True, slots=True)
class Lists:
    """The lists of one reference.

    Args:
        source: Their entries, by `conditions.Condition`.
        fields: What conditions may be on, by name.
        policy: What reads of them accept. Nothing is served while it is loaded anew: a list is
            either right or read from the database, unless that cannot answer.
        watches: Whose writes touch them.
    """

    source: Source
    fields: Mapping[str, AnyField]
    policy: Policy
    watches: tuple[Watch, ...]


def lists_of(
    declaration: Declaration, rows: Rows, key: Sequence[AnyField], prefix: bytes
) -> Lists | None:
    """The lists of a reference whose *rows* are asked for by *key*; None where it declares none.

    Raises:
        InvalidReference: `where` names what is no column, or lies in another database.
    """
    if not declaration.where:
        return None
    tree = branch(rows.origin.model, declaration.where)
    leaves = dict(zip(declaration.where, tree.leaves(), strict=True))
    connection = connections[rows.origin.alias]
    columns = [column_for(each, each.name, connection) for each in key]
    codec = KeyListCodec(columns)
    source = Source(
        family=family(prefix, f"~where~{declaration.name}"),
        # A time without a zone is meant in TIME_ZONE.
        schema=schema_id(
            rows.version,
            fingerprint(
                rows.origin, codec.signature, sorted(declaration.where), settings.TIME_ZONE
            ),
        ),
        index=(),
        encode=codec.encode,
        decode=codec.decode,
        wrap=tuple,
        ttl=rows.ttl,
        negative_ttl=rows.negative_ttl,
        tolerance=rows.tolerance,
        grace=rows.grace,
        is_shareable=True,
        origin=replace(
            rows.origin,
            key=tuple(each.attname for each in key),
            is_list=True,
            nullable=tuple(each.attname for each in key if each.null),
        ),
    )
    own = [*key, *filtered_fields(rows.origin.model, rows.origin.filter)]
    watches = tuple(_watches(tree, own, source, rows, declaration.using))
    policy = replace(declaration.policy, while_revalidate_ms=0)
    return Lists(source, leaves, policy, watches)


def keys_where(
    name: str,
    lists: Lists | None,
    lookups: Mapping[str, Any],
    terms: Terms,
    max_stale: float | timedelta | None,
) -> Steps[list[Key]]:
    """The keys of the rows for which *lookups* hold, in the database's order of the keys.

    Raises:
        InvalidCondition: They are not such as were declared.
        ReferenceUnavailable: Neither cache nor database could answer.
    """
    if lists is None:
        raise InvalidCondition(
            f"Reference {name!r} declares no fields that keys_where() takes conditions on: give "
            'where=[…] where it is registered, as in where=["tier"].'
        )
    asked = condition(lookups, lists.fields)
    wanted = Wanted(Node(lists.source), [asked], lists.policy.capped(max_stale))
    found = (yield from resolve([wanted], terms))[0]
    page = found.pages[0]
    keys = found.rows[asked]
    loads = len(page.loaded)
    terms.emit(Resolved(lists.source.family.reference, int(not loads), loads, 0))
    if keys is FAILED:
        cause = page.failures.get(asked)
        if isinstance(cause, InvalidCondition):
            raise InvalidCondition(str(cause)) from cause
        raise ReferenceUnavailable(name, [asked.text]) from cause
    return list(keys)


def _watches(
    tree: Branch, further: Sequence[AnyField], source: Source, rows: Rows, using: str | None
) -> Iterator[Watch]:
    """One for the model of *tree*, and one for each that is spanned from there."""
    model = tree.model
    origin = rows.origin if model is rows.origin.model else origin_of(model, using, {})
    if origin.alias != rows.origin.alias:
        raise InvalidReference(
            f"where spans {model._meta.label}, which lies in {origin.alias!r}, not in "
            f"{rows.origin.alias!r}: give fields of one database."
        )
    fields = [*(column for column, _ in tree.own), *tree.spans, *further]
    yield watch_of(rows, origin, source.family, fields, is_whole=True)
    for relation, below in tree.spans.items():
        yield from _watches(below, [relation.target_field], source, rows, using)
