"""`ReferenceTo`: on a model, the relation that the boundary between two databases rules out."""

from collections.abc import Iterator, Sequence
from functools import partial
from inspect import getattr_static
from typing import Any, NamedTuple, Never, NoReturn, Self, overload

from django.db.models import Model
from django.utils.asyncio import async_unsafe

from refcache.attaching import Key, key_of, value_of
from refcache.core.snapshots import Snapshot
from refcache.reading.answers import is_null
from refcache.registry import references


class Remembered(NamedTuple):
    """For which key an instance remembers a value, and since which `refresh_from_db()`."""

    key: Any
    since: dict[str, Any]


class ReferenceTo:
    """The row that a key of the instance refers to: `customer = ReferenceTo("customer", key=...)`.

    `event.customer` is its snapshot: None for a null key, the placeholder for a missing row, what
    `on_error` says for one that could not be read (None where that is "omit"). It is looked up at
    the first access, or for a whole page by `prefetch_related("customer")`, or as the queryset's
    fetch mode says; and then remembered for as long as the key is the same.

    No field: queries do not know it.

    Args:
        reference: The reference's name.
        key: The attribute that holds the key; a tuple of them for a composite key.
        along_with: Names of other `ReferenceTo` of the model that are looked up whenever this one
            is, in the same round trips. What cannot be answered of them fails this one as well.

    Source:
        What Django asks of a relation's descriptor in `get_prefetcher()`, `prefetch_one_level()`
        and `FetchMode.fetch()`; the same from 5.2 to 6.1.
    """

    name: str

    def __init__(
        self, reference: str, *, key: Key | list[str], along_with: Sequence[str] = ()
    ) -> None:
        self.reference = reference
        self.key: Key = tuple(key) if isinstance(key, list) else key
        self.along_with = along_with

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def contribute_to_class(self, cls: type[Model], name: str) -> None:
        """Django's hook, so that `add_to_class()` works for models of others."""
        self.__set_name__(cls, name)
        setattr(cls, name, self)

    def __repr__(self) -> str:
        return f"ReferenceTo({self.reference!r}, key={self.key!r})"

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...

    @overload
    def __get__(self, instance: Model, owner: type) -> Snapshot | None: ...

    def __get__(self, instance: Model | None, owner: type) -> Self | Snapshot | None:
        if instance is None:
            return self
        if is_null(key_of(instance, self.key)):
            return None  # Also with FETCH_RAISE, as nothing is looked up.
        if not self.is_cached(instance):
            # Django 5.2 has no fetch modes.
            mode = getattr(instance._state, "fetch_mode", None)
            mode.fetch(self, instance) if mode else self.fetch_one(instance)
        value: Snapshot | None = instance._state.fields_cache[self.name]
        return value

    def __set__(self, instance: Model, value: Never) -> NoReturn:
        raise AttributeError(
            f"{type(instance).__name__}.{self.name} cannot be set: it is the row that "
            f"{_listed(self.key)} refers to. Set {_listed(self.key)}."
        )

    def __delete__(self, instance: Model) -> None:
        """Forget what is remembered, so that the next access looks it up anew."""
        instance._state.fields_cache.pop(self.name, None)
        instance._state.fields_cache.pop(self.key_slot, None)

    @property
    def key_slot(self) -> str:
        """Where `fields_cache` has the key, beside the value; no field has such a name."""
        return f"{self.name}:key"

    @property
    def field(self) -> Self:
        """What FETCH_RAISE takes the name from."""
        return self

    def is_cached(self, instance: Model) -> bool:
        """Whether *instance* remembers the row that its key refers to now."""
        remembered = instance._state.fields_cache.get(self.key_slot)
        return (
            remembered is not None
            and remembered.since is instance.__dict__.get("_prefetched_objects_cache")
            and bool(remembered.key == key_of(instance, self.key))
        )

    def fetch_one(self, instance: Model) -> None:
        self._look_up([instance])

    def fetch_many(self, instances: Sequence[Model]) -> None:
        self._look_up(instances)

    def get_prefetch_querysets(
        self, instances: Sequence[Model], querysets: Sequence[Any] | None = None
    ) -> tuple[Any, ...]:
        """What `prefetch_related()` stores on *instances*; see Django's `prefetch_one_level()`.

        Raises:
            ValueError: There is a queryset: the rows lie in another database, and in Redis.
        """
        if querysets:
            raise ValueError(
                f"Prefetch({self.name!r}, queryset=...): {self.name} is a reference, whose fields "
                "and rows are those that it was registered with. Leave the queryset out."
            )
        self.fetch_many(instances)
        # By identity: keys that cannot be one need not be hashable.
        values = {id(each): each._state.fields_cache[self.name] for each in instances}
        found = {id(value): value for value in values.values() if value is not None}
        return list(found.values()), id, lambda each: id(values[id(each)]), True, self.name, False

    def _look_up(self, instances: Sequence[Model]) -> None:
        model = type(instances[0])
        _remember(instances, [self, *(getattr(model, name) for name in self.along_with)])


@async_unsafe(
    "A ReferenceTo that is not prefetched cannot be read in an async context: prefetch it, by "
    "prefetch_related() or aprefetch_related_objects(), or ask the reference itself (aget)."
)
def _remember(instances: Sequence[Model], wanted: Sequence[ReferenceTo]) -> None:
    """Look up what *instances* do not remember: what the first of *wanted* gives, and the others.

    For the others, no key is read by a query.
    """
    asked = [
        (each, row, key_of(row, each.key))
        for each in wanted
        for row in instances
        if (each is wanted[0] or not _is_deferred(row, each.key)) and not each.is_cached(row)
    ]
    keys: dict[str, list[Any]] = {each.reference: [] for each in wanted}
    for each, _, key in asked:
        keys[each.reference].append(key)
    found = references.lookup(keys)
    for each, row, key in asked:
        # refresh_from_db() puts another dictionary in the place of this one.
        since = row.__dict__.setdefault("_prefetched_objects_cache", {})
        cache = row._state.fields_cache
        placeholder = partial(references[each.reference].placeholder, key)
        cache[each.name] = value_of(key, found[each.reference], placeholder)
        cache[each.key_slot] = Remembered(key, since)


def relations_of(model: type[Model]) -> Iterator[ReferenceTo]:
    """Every `ReferenceTo` of *model*, those of its mixins and parents too."""
    for name in dir(model):
        each = getattr_static(model, name, None)
        if isinstance(each, ReferenceTo):
            yield each


def _is_deferred(row: Model, key: Key) -> bool:
    return not row.get_deferred_fields().isdisjoint([key] if isinstance(key, str) else key)


def _listed(key: Key) -> str:
    return key if isinstance(key, str) else " and ".join(key)
