"""What one page, or one request, has resolved: all its references in one read."""

from collections.abc import Iterator, Mapping
from weakref import WeakKeyDictionary

from rest_framework.serializers import BaseSerializer, ListSerializer

from refcache.attaching import Key, key_of
from refcache.conf import conf
from refcache.core.events import PerRow
from refcache.core.exceptions import InvalidKey, PerRowLookup
from refcache.core.snapshots import Snapshot
from refcache.reading.answers import is_null
from refcache.registry import ReferenceCache, references
from refcache.rest_framework.gathering import rows_of, shown_by

CONTEXT_NAME = "refcache"


class Page:
    """The references that serializers show, resolved together when the first of them is read.

    Args:
        prefetch: Load relations that nested serializers show and nobody has loaded.
        contexts: Further references to resolve for each row of a top-level serializer: name of
            the reference and the key's attribute.
    """

    def __init__(
        self,
        *,
        prefetch: bool = False,
        contexts: Mapping[str, tuple[str, Key]] | None = None,
        registry: ReferenceCache = references,
    ) -> None:
        self._registry = registry
        self._prefetch = prefetch
        self._contexts = contexts or {}
        self._unread: list[BaseSerializer] = []
        self._is_many: bool | None = None  # None while nobody has been watched
        self._found: dict[str, dict[object, Snapshot]] = {}

    def watch(self, root: BaseSerializer) -> None:
        """Resolve what *root* shows with the next read."""
        self._unread.append(root)
        self._is_many = bool(self._is_many) or isinstance(root, ListSerializer)

    def forget(self) -> None:
        """What was read before a write may be old after it."""
        self._found = {}

    @property
    def expects_all_keys(self) -> bool:
        """Whether a key that was not gathered is a lookup row by row: not for a single object."""
        return self._is_many is not False

    def get(self, reference: str, key: object, *, under_many: bool, hint: str) -> Snapshot:
        """The snapshot or placeholder.

        Raises:
            InvalidKey: *key* cannot be one of the reference.
            PerRowLookup: A page asks for a key that it did not gather, and `PER_ROW` says "raise".
        """
        self._resolve_unread()
        cast = self._cast(reference, key)
        found = self._found.setdefault(reference, {})
        if cast not in found:
            if under_many:
                self._complain(reference, key, hint)
            found.update(self._registry[reference].lookup([key]))
        return found[cast]

    def keys(self, reference: str) -> Iterator[object]:
        self._resolve_unread()
        return iter(self._found.get(reference, {}))

    def _cast(self, reference: str, key: object) -> object:
        return self._registry.plan(reference).cast(key)

    def _resolve_unread(self) -> None:
        if not self._unread:
            return
        unread, self._unread = self._unread, []
        wanted = self._wanted(unread)
        for reference, keys in wanted.items():  # A browsable page shows the same rows four times.
            found = self._found.get(reference, {})
            wanted[reference] = [key for key in keys if key not in found]
        for reference, lookup in self._registry.lookup(wanted).items():
            self._found.setdefault(reference, {}).update(lookup)

    def _wanted(self, roots: list[BaseSerializer]) -> dict[str, list[object]]:
        wanted: dict[str, list[object]] = {}
        for root in roots:
            rows = rows_of(root.instance) if root.instance is not None else []
            for reference, key in self._contexts.values():
                wanted.setdefault(reference, []).extend(key_of(row, key) for row in rows)
            for shown in shown_by(root, prefetch=self._prefetch):
                for field in shown.serializer.fields.values():
                    if (reference := getattr(field, "reference", None)) is not None:
                        keys = wanted.setdefault(reference, [])
                        keys.extend(field.keys_of(shown.rows))
        return wanted

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

    A missing row has its placeholder, which is falsy; a null key has none.
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
            return self._page.get(
                self._reference, key, under_many=self._page.expects_all_keys, hint=self._hint
            )
        except InvalidKey:
            raise KeyError(key) from None

    def __iter__(self) -> Iterator[object]:
        return self._page.keys(self._reference)

    def __len__(self) -> int:
        return sum(1 for _ in self)


_pages: WeakKeyDictionary[BaseSerializer, tuple[object, Page]] = WeakKeyDictionary()


def page_of(root: BaseSerializer) -> Page:
    """The page that *root* belongs to: its view's, or one of its own for what it shows now."""
    shared = root.context.get(CONTEXT_NAME)
    if isinstance(shared, Page):
        return shared
    instance, page = _pages.get(root, (None, None))
    if page is None or instance is not root.instance:
        page = Page()
        page.watch(root)
        _pages[root] = (root.instance, page)
    return page
