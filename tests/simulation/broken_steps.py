"""The protocol's steps with one guard taken out each: replacements for functions of the core."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from refcache.core import claims, composition, entries, loading, pages, protocol
from refcache.core.entries import ABSENT, VALUE, Entry
from refcache.core.exceptions import LoadFailed, StoreUnavailable
from refcache.core.keys import Key
from refcache.core.operations import Claim, Load, LoadRequest, MayFill
from refcache.core.pages import Ask, Page
from refcache.core.terms import Steps, Terms

T = TypeVar("T")

_claim, _load, _fill, answer = (
    claims.claim,
    protocol._load,
    loading._fill,
    protocol.answer,
)
sort, sort_one = pages.sort, pages.sort_one


Changed = Callable[[Any, Any], Any]


def changing(inner: Steps[T], changed: Changed) -> Steps[T]:
    """*inner*, which hears of each operation what *changed* makes of the reply."""
    try:
        operation = next(inner)
        while True:
            try:
                reply = yield operation
            except (StoreUnavailable, LoadFailed) as exc:
                operation = inner.throw(exc)
            else:
                operation = inner.send(changed(operation, reply))
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]  # typeshed: the value is untyped


def stores_what_is_not_storable(
    asked: list[Page], token: bytes | None, terms: Terms, waited: float = 0.0
) -> Steps[None]:
    return changing(_load(asked, token, terms, waited), _as_storable)


def _as_storable(operation: Any, reply: Any) -> Any:
    if isinstance(operation, Load):
        return reply._replace(storable=(True,) * len(reply.rows))
    return reply


def claims_without_leave(asked: list[Page], terms: Terms) -> Steps[bytes | None]:
    return changing(_claim(asked, terms), as_allowed)


def as_allowed(operation: Any, reply: Any) -> Any:
    return [True] * len(operation.sources) if isinstance(operation, MayFill) else reply


def loads_before_it_claims(asks: Sequence[Ask], terms: Terms) -> Steps[list[Page]]:
    """What it stores is what the database held before its claim."""
    early: list[Any] = []

    def remembered(operation: Any, reply: Any) -> Any:
        return early[0] if isinstance(operation, Load) and early else reply

    inner = changing(answer(asks, terms), remembered)
    operation = next(inner)
    while True:
        if isinstance(operation, Claim) and not early:
            early += [(yield Load([LoadRequest(asks[0].source, asks[0].keys, primary=True)]))]
        try:
            operation = inner.send((yield operation))
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]  # typeshed: the value is untyped


def keeps_leases_of_failed_loads(
    items: list[Any], token: bytes | None, terms: Terms
) -> Steps[list[Any]]:
    return (yield from _fill([each for each in items if each[1].raw], token, terms))


# What a reader trusts

Restamp = Callable[[bytes, bytes, Entry, Page, int], bytes]


def _sorting(restamp: Restamp) -> Callable[..., None]:
    """Readers that take values and absences as *restamp* makes them."""

    def sort_restamped(
        page: Page,
        keys: Sequence[Key],
        entry_keys: Sequence[bytes],
        raws: Sequence[bytes | None],
        now: int,
        terms: Terms,
    ) -> None:
        made = [
            restamp(key, raw, entries.unpack(raw), page, now)
            if raw is not None and entries.is_well_formed(raw) and raw[19:20] in (VALUE, ABSENT)
            else raw
            for key, raw in zip(entry_keys, raws, strict=True)
        ]
        sort(page, keys, entry_keys, made, now, terms)

    return sort_restamped


def _as_current(key: bytes, raw: bytes, entry: Entry, page: Page, _: int) -> bytes:
    if raw[:4] != entries.checksum(key, raw) or page.epoch is None:
        return raw
    return entries.pack(key, entry._replace(epoch=page.epoch.id))


def _as_fresh(key: bytes, raw: bytes, entry: Entry, _: Page, now: int) -> bytes:
    if raw[:4] != entries.checksum(key, raw):
        return raw
    return entries.pack(key, entry._replace(until=max(entry.until, now + 1)))


def _as_intact(key: bytes, _: bytes, entry: Entry, __: Page, ___: int) -> bytes:
    return entries.pack(key, entry)


trusts_any_epoch = _sorting(_as_current)
trusts_stale_values = _sorting(_as_fresh)
trusts_any_bytes = _sorting(_as_intact)


def trusts_unlisted_schemas(
    page: Page,
    keys: Sequence[Key],
    entry_keys: Sequence[bytes],
    raws: Sequence[bytes | None],
    now: int,
    terms: Terms,
) -> None:
    if page.epoch is not None and page.epoch.schema(page.source.schema) is None:
        listed = entries.Schema(page.source.schema, 0, now + 1)
        page.epoch = page.epoch._replace(schemas=(*page.epoch.schemas, listed))
    sort(page, keys, entry_keys, raws, now, terms)


def waits_for_nobody(
    page: Page, key: Key, entry_key: bytes, raw: bytes | None, now: int, terms: Terms
) -> None:
    sort_one(page, key, entry_key, raw, now, terms)
    page.direct += page.waiting
    page.waiting = []


def waits_for_ever(waiting_pages: list[Page], *, is_over: bool) -> None:
    del is_over
    for page in waiting_pages:
        page.unread.extend(page.waiting)
        page.waiting = []


# Composition


def believes_the_index(node: composition.Node, row: Any, key: Key) -> bool:
    del node, row, key
    return True


def asks_one_by_one(
    asks: list[Ask], terms: Terms, trouble: StoreUnavailable | None = None
) -> Steps[list[Page]]:
    return (yield from answer(asks, terms, trouble))
