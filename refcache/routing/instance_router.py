"""A router by application, with replicas, that minds the instance: `InstanceRouter`."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from random import choice
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import Model

UNSAID = "unsaid"  # as None means something


class InstanceRouter:
    """Reads of an instance's own and related rows stay where it was read; writes go home.

    Subclass it and name the subclass in `DATABASE_ROUTERS`, or make one with arguments.

        class ShopRouter(InstanceRouter):
            apps = {"orders": "events"}
            replicas = {"default": ["replica"]}

    Args:
        apps: The home of an application's models, by its label; of a single model, by
            "label.model".
        replicas: The replicas of a home, which are read only.
        default: The home of everything else; None: other routers, or Django, decide on that.
    """

    apps: Mapping[str, str] = {}
    replicas: Mapping[str, Sequence[str]] = {}
    default: str | None = DEFAULT_DB_ALIAS

    def __init__(
        self,
        *,
        apps: Mapping[str, str] | None = None,
        replicas: Mapping[str, Sequence[str]] | None = None,
        default: str | None = UNSAID,
    ) -> None:
        if apps is not None:
            self.apps = apps
        if replicas is not None:
            self.replicas = replicas
        if default is not UNSAID:
            self.default = default

    def home(self, app_label: str, model_name: str | None = None) -> str | None:
        """The alias that the model is written to; None: this router has no opinion."""
        alone = self._homes.get(f"{app_label}.{model_name}".lower())
        return alone or self._homes.get(app_label.lower(), self.default)

    def choose(self, aliases: Sequence[str], model: type[Model], **hints: Any) -> str:
        """The alias for a read of rows that belong to no instance: one of the replicas.

        Override it, for example to read what was just written: `return aliases[0]`.

        Args:
            aliases: The home first, then its replicas.
            model: Whose rows.
            hints: As routers are given them.
        """
        del model, hints
        return choice(aliases[1:] or aliases)  # noqa: S311 - nobody is to be surprised

    def db_for_read(
        self, model: type[Model], instance: Model | None = None, **hints: Any
    ) -> str | None:
        home = self._home_of(model)
        if home is None:
            return None
        place = None if instance is None else instance._state.db
        # A row of another home says nothing about this one's databases.
        if instance is not None and place is not None and self._home_of(type(instance)) == home:
            return place
        return self.choose(self._aliases(home), model, instance=instance, **hints)

    def db_for_write(self, model: type[Model], **_: Any) -> str | None:
        """The home, also of what was read from a replica."""
        return self._home_of(model)

    def allow_relation(self, first: Model, second: Model, **_: Any) -> bool | None:
        """Whether both lie, or will lie, in one home or its replicas."""
        homes = [self._home_of(type(each)) for each in (first, second)]
        if None in homes:
            return None
        places = [each._state.db or home for each, home in zip((first, second), homes, strict=True)]
        primaries = {self._primary.get(str(place), place) for place in places}
        return len(primaries) == 1

    def allow_migrate(
        self, db: str, app_label: str, model_name: str | None = None, **_: Any
    ) -> bool | None:
        """Only at home; a replica gets its tables from its primary."""
        home = self.home(app_label, model_name)
        return None if home is None else db == home

    def _home_of(self, model: type[Model]) -> str | None:
        return self.home(model._meta.app_label, model._meta.model_name)

    def _aliases(self, home: str) -> list[str]:
        return [home, *self.replicas.get(home, ())]

    @cached_property
    def _homes(self) -> dict[str, str]:
        """By what `apps` names."""
        self._check({*self.apps.values(), *self._primary, *self._primary.values()})
        return {name.lower(): alias for name, alias in self.apps.items()}

    @cached_property
    def _primary(self) -> dict[str, str]:
        """By replica."""
        return {each: home for home, replicas in self.replicas.items() for each in replicas}

    def _check(self, aliases: Iterable[str]) -> None:
        """Not sooner than aliases can be known: it may have been made within the settings."""
        if unknown := set(aliases).difference(connections):
            raise ImproperlyConfigured(
                f"{type(self).__name__} names {', '.join(sorted(unknown))}, which is no alias of "
                f"DATABASES (known: {', '.join(connections)})."
            )
        if both := {*self.apps.values(), *self.replicas} & self._primary.keys():
            raise ImproperlyConfigured(
                f"{type(self).__name__} has {', '.join(sorted(both))} as a replica and as a home."
            )
