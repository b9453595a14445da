"""Prefetching on one database, whatever the routers say: `prefetch_using`."""

from collections.abc import Iterator, Sequence
from copy import copy
from typing import Any, TypeAlias, cast, overload

from django.apps import apps
from django.contrib.contenttypes.prefetch import GenericPrefetch
from django.db.models import Model, Prefetch, QuerySet
from django.db.models.constants import LOOKUP_SEP

Rows: TypeAlias = QuerySet[Any]
AnyPrefetch: TypeAlias = "Prefetch[Any, Any, Any]"
Lookup: TypeAlias = "str | AnyPrefetch"


def prefetch_using(alias: str, *lookups: Lookup) -> list[AnyPrefetch]:
    """What `prefetch_related(*prefetch_using("replica", "author", "books__tags"))` is given.

    Every step of every path is read from *alias*, and no router is asked. As in Django's docs, a
    queryset that names a database itself (`Prefetch("books", Book.objects.using("archive"))`)
    keeps it, and what it prefetches is read from there as well. So does what another
    `prefetch_using` has given.

    The rows of a GenericForeignKey cost one query more, for the content types of *alias*; not
    where a `GenericPrefetch` says which models there are.

    Returns:
        One per lookup, in their order.
    """
    return [_on(alias, each) for each in lookups]


def rows_on(alias: str, rows: Rows) -> Rows:
    """The same rows, and what they prefetch, from *alias*; from their own where they name one."""
    # The property `db` would ask the routers.
    place = cast("Any", rows)._db or alias  # noqa: SLF001 - see above
    wanted = cast("Any", rows)._prefetch_related_lookups  # noqa: SLF001 - no other way to see them
    rows = rows.using(place)
    return rows.prefetch_related(None).prefetch_related(*map(copy, prefetch_using(place, *wanted)))


def _on(alias: str, lookup: Lookup) -> AnyPrefetch:
    if isinstance(lookup, UsingPrefetch | UsingGenericPrefetch):
        return lookup
    # Not by their names: django-stubs takes every subclass's arguments for those of Prefetch.
    one, several = cast("Any", UsingPrefetch), cast("Any", UsingGenericPrefetch)
    if isinstance(lookup, str):
        made = one(alias, lookup)
    elif isinstance(lookup, GenericPrefetch):
        rows = [rows_on(alias, each) for each in cast("Any", lookup).querysets]
        made = several(alias, lookup.prefetch_through, rows, lookup.to_attr)
    else:
        given = lookup.queryset
        its_rows = None if given is None else rows_on(alias, given)
        made = one(alias, lookup.prefetch_through, its_rows, lookup.to_attr)
    return cast("AnyPrefetch", made)


class UsingPrefetch(Prefetch):  # type: ignore[type-arg]  # at run time it takes none
    """A Prefetch that has a queryset for every step of its path, not for the last one only."""

    def __init__(
        self, alias: str, lookup: str, queryset: Rows | None = None, to_attr: str | None = None
    ) -> None:
        super().__init__(lookup, queryset, to_attr)
        self.alias = alias

    def get_current_querysets(self, level: int) -> Any:
        """Django's hook: what the descriptor or manager of that step is to read from."""
        return super().get_current_querysets(level) or _related(self, level)


class UsingGenericPrefetch(GenericPrefetch):  # type: ignore[type-arg]  # as above
    """A GenericPrefetch that has querysets for the steps before the last one, too."""

    def __init__(
        self, alias: str, lookup: str, querysets: list[Rows], to_attr: str | None = None
    ) -> None:
        super().__init__(lookup, querysets, to_attr)
        self.alias = alias

    def get_current_querysets(self, level: int) -> Any:
        return super().get_current_querysets(level) or _related(self, level)


def _related(lookup: UsingPrefetch | UsingGenericPrefetch, level: int) -> "RelatedRows":
    return RelatedRows(lookup.alias, lookup.prefetch_through.split(LOOKUP_SEP)[level])


class RelatedRows(Sequence[Any]):
    """The querysets for one step of a path, of which only the attribute's name is known.

    Django looks at them in two ways. A relation takes the only one there is, which learns from
    the first instance whose rows it is to hold. A GenericForeignKey goes through all of them: then
    they are those of all models that have a content type on the alias.
    """

    def __init__(self, alias: str, attribute: str) -> None:
        self.alias = alias
        self.attribute = attribute

    def __len__(self) -> int:
        return 1

    @overload
    def __getitem__(self, index: int) -> "LaterRows": ...
    @overload
    def __getitem__(self, index: slice) -> Sequence["LaterRows"]: ...
    def __getitem__(self, index: int | slice) -> "LaterRows | Sequence[LaterRows]":
        return [LaterRows(self.alias, self.attribute)][index]

    def __iter__(self) -> Iterator[Rows]:
        types = cast("Any", apps.get_model("contenttypes", "ContentType"))
        known = types.objects.db_manager(self.alias)
        models = [each.model_class() for each in known.order_by("pk")]
        # A proxy has the content type of its model, of which there may be but one queryset.
        wanted = [each for each in models if each is not None and not each._meta.proxy]
        # Else Django asks for each of them by itself.
        known.get_for_models(*wanted)
        return iter([each._base_manager.using(self.alias) for each in wanted])


class LaterRows:
    """A queryset that begins to be one when Django tells it the first of the instances.

    That is the first thing which every relation does with a queryset that it is given, from
    Django 5.2 to 6.1: its instance is the routers' hint.
    """

    def __init__(self, alias: str, attribute: str) -> None:
        self._alias = alias
        self._attribute = attribute
        self._rows: Rows | None = None

    def _add_hints(self, *, instance: Model) -> None:
        self._rows = rows_on(self._alias, related_rows(instance, self._attribute))

    def __getattr__(self, name: str) -> Any:
        if self._rows is None:
            raise TypeError(
                f"{self._attribute!r} cannot be read from {self._alias!r}: what serves it asked "
                f"for {name!r} before it said which instances it is for. Leave it out of "
                "prefetch_using()."
            )
        return getattr(self._rows, name)


def related_rows(instance: Model, attribute: str) -> Rows:
    """All rows that Django would choose from if no queryset were given."""
    descriptor = getattr(type(instance), attribute)
    if hasattr(descriptor, "get_prefetch_querysets"):  # of a single row
        rows: Rows = descriptor.get_queryset(instance=instance)
        return rows
    manager = getattr(instance, attribute)
    return cast("Rows", manager.model._default_manager.all())
