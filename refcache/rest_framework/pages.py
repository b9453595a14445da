"""What one page, or one request, has resolved: all its references in one read."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from weakref import WeakKeyDictionary

from rest_framework.serializers import ListSerializer

from refcache.attaching import Key
from refcache.conf import conf
from refcache.core.events import PerRow
from refcache.core.exceptions import InvalidKey, PerRowLookup
from refcache.core.snapshots import Snapshot
from refcache.lookup import Lookup
from refcache.reading.answers import is_null
from refcache.reading.planning import Plan
from refcache.registry import ReferenceCache, references
from refcache.rest_framework.gathering import instance_of, rows_in, shown_by
from refcache.rest_framework.keys import AnySerializer, KeyedField, keys_in
from refcache.rest_framework.reporting import Report

CONTEXT_NAME = "refcache"

Wanted = dict[str, list[object]]


class Page:
    """The references that serializers show, resolved together when the first of them is read.

    Args:
        prefetch: Load relations that nested serializers show and nobody has loaded.
        contexts: Further references to resolve for each row of a serializer that is watched: name
            of the reference and the key's attribute.
        report: Is told of every answer; None: nobody is.
    """

    def __init__(
        self,
        *,
        prefetch: bool = False,
        contexts: Mapping[str, tuple[str, Key]] | None = None,
        report: Report | None = None,
        registry: ReferenceCache = references,
    ) -> None:
        self._registry = registry
        self._prefetch = prefetch
        self._contexts = contexts or {}
        self._report = report
        self._roots: WeakKeyDictionary[AnySerializer, None] = WeakKeyDictionary()
        self._unread: list[AnySerializer] = []
        self._is_many: bool | None = None  # None while nobody has been watched
        # None: the row could not be read, and the reference declares that it be left out.
        self._found: dict[str, dict[object, Snapshot | None]] = {}
        self._plans: dict[str, Plan] = {}

    def plan(self, reference: str) -> Plan:
        """The reference's, for as long as the page lives."""
        if reference not in self._plans:
            self._plans[reference] = self._registry.plan(reference)
        return self._plans[reference]

    def watch(self, root: AnySerializer) -> None:
        """Resolve what *root* shows with the next read."""
        self._roots[root] = None
        self._unread.append(root)
        self._is_many = bool(self._is_many) or isinstance(root, ListSerializer)

    def join(self, root: AnySerializer, *, hint: str) -> None:
        """Resolve what *root* shows, unless it is watched.

        Raises:
            PerRowLookup: It is made for one row of another one, and `PER_ROW` says "raise".
        """
        if root in self._roots:
            return
        self._resolve_unread()
        wanted = self._unfound(self._wanted([root]))
        if any(wanted.values()) and _is_within_another(root):
            reference, keys = next(item for item in wanted.items() if item[1])
            self._complain(reference, keys[0], hint)
        self._resolve([root], wanted)
        self._roots[root] = None

    def forget(self) -> None:
        """What was read before a write may be old after it."""
        self._found = {}
        self._unread = list(self._roots)

    @property
    def expects_all_keys(self) -> bool:
        """Whether a key that was not gathered is a lookup row by row: not for a single object."""
        return self._is_many is not False

    def get(self, reference: str, key: object, *, expects_key: bool, hint: str) -> Snapshot | None:
        """The snapshot or placeholder; None where a row that failed is to be left out.

        Raises:
            InvalidKey: *key* cannot be one of the reference.
            PerRowLookup: *expects_key*, it was not gathered, and `PER_ROW` says "raise".
            ReferenceUnavailable: It could not be read, and the reference declares no other way.
        """
        self._resolve_unread()
        cast = self.plan(reference).cast(key)
        found = self._found.setdefault(reference, {})
        if cast not in found:
            if expects_key:
                self._complain(reference, key, hint)
            self._take(reference, [cast], self._registry[reference].lookup([cast]))
        return found[cast]

    def keys(self, reference: str) -> Iterator[object]:
        self._resolve_unread()
        found = self._found.get(reference, {})
        return (key for key, row in found.items() if row is not None)

    def _resolve_unread(self) -> None:
        if self._unread:
            self._resolve(self._unread, self._unfound(self._wanted(self._unread)))
            self._unread = []

    def _resolve(self, roots: list[AnySerializer], wanted: Wanted) -> None:
        for root in roots:
            _read_roots[root] = None
        for reference, lookup in self._registry.lookup(wanted).items():
            self._take(reference, wanted[reference], lookup)

    def _take(self, reference: str, keys: Iterable[object], lookup: Lookup) -> None:
        found, plan = self._found.setdefault(reference, {}), self.plan(reference)
        found.update(lookup)
        if plan.declaration.on_error == "omit":
            for key in keys:
                with suppress(InvalidKey):
                    if not is_null(key):
                        found.setdefault(plan.cast(key), None)
        if self._report is not None:
            self._report.add(reference, lookup)

    def _wanted(self, roots: Iterable[AnySerializer]) -> Wanted:
        wanted: Wanted = {}
        for root in roots:
            instance = instance_of(root)
            if self._contexts and instance is not None:
                rows = rows_in(root, instance)
                for reference, key in self._contexts.values():
                    wanted.setdefault(reference, []).extend(keys_in(rows, key))
            for shown in shown_by(root, prefetch=self._prefetch):
                for field in shown.serializer.fields.values():
                    if isinstance(field, KeyedField):
                        keys = wanted.setdefault(field.reference, [])
                        keys.extend(keys_in(shown.rows, field.key))
        return wanted

    def _unfound(self, wanted: Wanted) -> Wanted:
        """Without what is known: a browsable page shows the same rows several times."""
        return {
            reference: [key for key in keys if not self._knows(reference, key)]
            if reference in self._found
            else keys
            for reference, keys in wanted.items()
        }

    def _knows(self, reference: str, key: object) -> bool:
        try:
            cast = self.plan(reference).cast(key)
        except InvalidKey:
            return False
        return is_null(key) or cast in self._found[reference]

    def _complain(self, reference: str, key: object, hint: str) -> None:
        message = (
            f"Reference {reference!r} is looked up row by row: key {key!r} was not gathered with "
            f"its page. {hint}"
        )
        self._registry.emit(PerRow(reference, message))
        if conf().raises_per_row:
            raise PerRowLookup(message)


class ContextMapping(Mapping[object, Snapshot]):
    """`context["customer_context"]`: snapshots by key, resolved when the first is read.

    A missing row has its placeholder, which is falsy; a null key has none, and neither has a row
    that failed and is to be left out.
    """

    def __init__(self, page: Page, reference: str, *, name: str) -> None:
        self._page = page
        self._reference = reference
        self._hint = (
            f"The context {name!r} knows the rows that get_serializer() was given: build the "
            "serializer with it, and with the page's rows as its instance."
        )

    def __getitem__(self, key: object) -> Snapshot:
        if is_null(key):
            raise KeyError(key)
        try:
            found = self._page.get(
                self._reference, key, expects_key=self._page.expects_all_keys, hint=self._hint
            )
        except InvalidKey:
            raise KeyError(key) from None
        if found is None:
            raise KeyError(key)
        return found

    def __iter__(self) -> Iterator[object]:
        return self._page.keys(self._reference)

    def __len__(self) -> int:
        return sum(1 for _ in self)


# The pages of serializers whose context has none, with the instance that each was made for.
_own_pages: WeakKeyDictionary[AnySerializer, tuple[object, Page]] = WeakKeyDictionary()
# Serializers whose references are resolved.
_read_roots: WeakKeyDictionary[AnySerializer, None] = WeakKeyDictionary()


def page_of(root: AnySerializer, *, hint: str) -> Page:
    """The page that *root* belongs to: its view's, or one of its own for what it shows now.

    Raises:
        PerRowLookup: As `Page.join` does.
    """
    shared = root.context.get(CONTEXT_NAME)
    page = shared if isinstance(shared, Page) else _own_page(root)
    page.join(root, hint=hint)
    return page


def _own_page(root: AnySerializer) -> Page:
    instance = instance_of(root)
    if instance is None:  # A serializer that outlives its rows: nothing to remember by.
        return Page()
    known, page = _own_pages.get(root, (None, None))
    if page is None or known is not instance:
        page = Page()
        _own_pages[root] = (instance, page)
    return page


def _is_within_another(root: AnySerializer) -> bool:
    """Whether *root* is made while a serializer of many rows, whose context it got, shows them."""
    others = (reference() for reference in _read_roots.keyrefs())
    return any(
        isinstance(other, ListSerializer)
        and other is not root
        and other._context is root._context  # noqa: SLF001 - the same dictionary was handed on
        and not hasattr(other, "_data")  # REST framework sets it at the end
        for other in others
    )
