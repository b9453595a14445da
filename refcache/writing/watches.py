"""What is watched: by model, for signals, and by table, for statements and triggers."""

from collections.abc import Callable, Mapping, Sequence

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model

from refcache.reading.watched import Watch
from refcache.writing.effects import Effects
from refcache.writing.tables import Table, tables_of
from refcache.writing.touching import lineage


class Watches:
    """The watches of a registry, as they now are: registering goes on for a while.

    Args:
        current: Gives them; another sequence where something was registered.
    """

    def __init__(self, current: Callable[[], Sequence[Watch]]) -> None:
        self._current = current
        self._known = _Known(())

    def of_model(self, model: type[Model]) -> list[Watch]:
        """Those that a write of *model* may reach."""
        known = self._refreshed()
        if model not in known.by_model:
            related = [each for each in known.watches if is_related(model, each.model)]
            known.by_model[model] = related
        return known.by_model[model]

    def tables(self, alias: str, *, alike: bool = False) -> Mapping[str, Table]:
        """The tables of the database behind *alias*, by name.

        Args:
            alias: The database.
            alike: As all databases of its kind have them, for what may be the same by another name.
        """
        if alike:
            return self.effects(connections[alias]).tables
        known, place = self._refreshed(), _place(alias)
        if place not in known.tables:  # A test's database has a name of its own.
            here = (each for each in known.watches if _place(each.alias) == place)
            known.tables[place] = tables_of(here)
        return known.tables[place]

    def effects(self, connection: BaseDatabaseWrapper) -> Effects:
        """What statements on *connection* touch.

        Any database of its kind: what looks like another one may be the same by another name (a
        pooler's, a path), or be reached from it (`other.table`).
        """
        known, vendor = self._refreshed(), connection.vendor
        if vendor not in known.effects:
            watches = known.watches
            alike = (each for each in watches if connections[each.alias].vendor == vendor)
            known.effects[vendor] = Effects(tables_of(alike), vendor)
        return known.effects[vendor]

    def aliases(self) -> list[str]:
        """The aliases that references load from."""
        return sorted({each.alias for each in self._refreshed().watches})

    def _refreshed(self) -> "_Known":
        watches = self._current()
        known = self._known
        if watches is not known.watches:
            # In one step: what another thread adds to the old one is gone with it.
            self._known = known = _Known(watches)
        return known


class _Known:
    """What follows from one sequence of watches, found as it is asked for."""

    def __init__(self, watches: Sequence[Watch]) -> None:
        self.watches = watches
        self.by_model: dict[type[Model], list[Watch]] = {}
        self.tables: dict[tuple[str, ...], Mapping[str, Table]] = {}
        self.effects: dict[str, Effects] = {}


def is_related(model: type[Model], watched: type[Model]) -> bool:
    """Whether a write of *model* reaches rows of *watched*: they share a table."""
    return not lineage(model).isdisjoint(lineage(watched))


def _place(alias: str) -> tuple[str, ...]:
    connection = connections[alias]
    settings = connection.settings_dict
    return connection.vendor, *(str(settings.get(name)) for name in ("HOST", "PORT", "NAME"))
