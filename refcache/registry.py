"""The registry: all references of a project, and what they share. Global state lives here."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar

from asgiref.sync import sync_to_async
from django.apps import apps
from django.core.signals import setting_changed
from django.db.backends.signals import connection_created
from django.db.models import Model

from refcache.attaching import attached, attachments, keys_by_reference
from refcache.connections import Place
from refcache.core.drivers import arun, run
from refcache.core.events import Event, EventCounts, Observer, Observers, log_troubles
from refcache.core.exceptions import InvalidReference
from refcache.core.snapshots import Snapshot
from refcache.core.staleness import Staleness
from refcache.core.terms import Steps, Terms
from refcache.declaration import Declaration, Instead
from refcache.declared import Declared
from refcache.lookup import Lookup, as_lookup
from refcache.processes import after_fork
from refcache.reading.answers import Overrides, answers
from refcache.reading.models import find_model
from refcache.reading.paths import branch
from refcache.reading.planning import Plan
from refcache.reading.warming import renewing
from refcache.reference import Reference
from refcache.runtime import Running, Runtime
from refcache.signals import tell_change
from refcache.writing.hooks import Hooks
from refcache.writing.invalidation import Invalidation
from refcache.writing.recovery import Recovery
from refcache.writing.tables import Table

T = TypeVar("T")
Asked = tuple[Plan, Iterable[object]]
PLANNED_BY = ("REFCACHE", "CACHES", "DATABASES", "DATABASE_ROUTERS", "USE_TZ", "TIME_ZONE")


class ReferenceCache:
    """The references of a project, by name.

    Args:
        place: A store and prefix of one's own, for tests; None: what `REFCACHE` says.
    """

    def __init__(self, place: Place | None = None) -> None:
        self.counts = EventCounts()
        self._observers = Observers([self.counts, log_troubles, self._tell])
        self._running = Running(self, place)
        self._declared = Declared(lambda: self.runtime.prefix)
        self._hooks = Hooks(lambda: self._declared.plans.watches, lambda: self.invalidation)
        setting_changed.connect(self._on_setting_changed)
        connection_created.connect(self._declared.connected)
        after_fork(self.counts.forget_parent)

    def register(  # noqa: PLR0913 - a declaration in one place
        self,
        model: str | type[Model],
        fields: Sequence[str],
        *,
        name: str | None = None,
        key: str | Sequence[str] = "pk",
        using: str | None = None,
        ttl: float | timedelta = 300,
        negative_ttl: float | timedelta = 30,
        local_ttl: float | timedelta = 0,
        staleness: Staleness | None = None,
        missing: Any = None,
        filter: Mapping[str, Any] | None = None,  # noqa: A002 - the public name
        version: int = 1,
        strict: bool | None = None,
        watch_sql: bool = True,
        on_error: Instead = "raise",
        soft_timeout: float | timedelta | None = None,
        load_timeout: float | timedelta | None = None,
        fill_from: str | None = None,
        grace: float | timedelta = 0,
        by: Sequence[str | Sequence[str]] = (),
        where: Sequence[str] = (),
    ) -> None:
        """Declare a reference, in `AppConfig.ready()`; `manage.py check` tells what is wrong.

        Args:
            model: The model, or "app_label.Model".
            fields: What a snapshot holds; may span forward relations, as in `company__name`.
            name: How it is asked for; default: the model's label in lower case.
            key: The field, or fields, whose value identifies the row.
            using: The database alias to load from; None: the router's choice for writes.
            ttl: For how long a loaded row is served, in seconds or as a timedelta.
            negative_ttl: For how long an absence is remembered; 0: not at all.
            local_ttl: Reserved for the in-process tier; must be 0 until that is built.
            staleness: How long past its TTL a value may be served, and when.
            missing: Called with the key of a missing row, gives the placeholder's fields.
            filter: Lookups on the row's own columns; rows outside count as absent.
            version: Part of the keys in Redis; raise it to start afresh.
            strict: Refuse writes whose marker cannot be set, with `InvalidationError`; None: as
                `REFCACHE["STRICT"]` says.
            watch_sql: Look at statements that no signal announces: `update()`, raw SQL.
            on_error: What a row gives that could not be read: "raise", "placeholder" or "omit".
            soft_timeout: Seconds that a load may take before an old value is served where one is
                tolerated; None: as `REFCACHE["SOFT_TIMEOUT"]` says.
            load_timeout: Seconds after which a load has failed; None: as the settings say.
            fill_from: The alias of a replica that loads may read from; None: the primary only.
            grace: Seconds after a write in which they do not; longer than the replica ever lags.
            by: Further unique fields, or tuples of fields, by which `by()` finds rows.
            where: Fields that `keys_where()` takes conditions on; may span forward relations.
        """
        label = model if isinstance(model, str) else model._meta.label
        name = label.lower() if name is None else name
        declaration = self._declared.declare(
            label=label, fields=fields, name=name, key=key, using=using, ttl=ttl,
            negative_ttl=negative_ttl, local_ttl=local_ttl, staleness=staleness,
            missing=missing, filter=filter, version=version, strict=strict,
            watch_sql=watch_sql, on_error=on_error, soft_timeout=soft_timeout,
            load_timeout=load_timeout, fill_from=fill_from, grace=grace, by=by, where=where,
        )  # fmt: skip
        if declaration is not None and apps.models_ready:
            self._connect(declaration)

    def connect(self) -> None:
        """Look at the writes of all models that are read; harmless when repeated."""
        for declaration in self._declared:
            self._connect(declaration)

    def _connect(self, declaration: Declaration) -> None:
        with suppress(InvalidReference):  # The checks tell.
            self._hooks.connect(branch(find_model(declaration), declaration.read).models())

    def __getitem__(self, name: str) -> Reference:
        self._declared.check_name(name)
        return Reference(self, name)

    def __contains__(self, name: object) -> bool:
        return name in self._declared

    def __iter__(self) -> Iterator[str]:
        return (declaration.name for declaration in self._declared)

    def __len__(self) -> int:
        return len(self._declared)

    def lookup(
        self,
        keys: Mapping[str, Iterable[object]],
        *,
        on_missing: Instead = "placeholder",
        on_error: Instead | None = None,
        max_stale: float | timedelta | None = None,
    ) -> dict[str, Lookup]:
        """Several references at once, in the round trips of one.

        Args:
            keys: By the references' names.
            on_missing: What an absent row gives; this and the rest as in `Reference.get`.
            on_error: What a row gives that could not be read.
            max_stale: How many seconds past its TTL a value may be.

        Raises:
            UnknownReference: A name is not registered.
            ReferenceUnavailable: Neither cache nor database could answer.
        """
        return self.run(self._lookup(keys, Overrides(on_missing, on_error, max_stale)))

    async def alookup(
        self,
        keys: Mapping[str, Iterable[object]],
        *,
        on_missing: Instead = "placeholder",
        on_error: Instead | None = None,
        max_stale: float | timedelta | None = None,
    ) -> dict[str, Lookup]:
        return await self.arun(self._lookup(keys, Overrides(on_missing, on_error, max_stale)))

    def refresh(self, keys: Mapping[str, Iterable[object]], within: float = 0.0) -> None:
        """Load anew what is past its TTL; others are served the old values meanwhile.

        What an executor calls (`REFCACHE["EXECUTOR"]`), in another thread or process.

        Args:
            keys: By the references' names.
            within: Also what is so many seconds before the end of its TTL.
        """
        self.run(renewing(self._plans_of(keys), self.terms, within))

    async def arefresh(self, keys: Mapping[str, Iterable[object]], within: float = 0.0) -> None:
        steps = renewing(self._plans_of(keys), self.terms, within)
        await arun(steps, self.runtime.backend.aperform_beside)

    def _plans_of(self, keys: Mapping[str, Iterable[object]]) -> list[Asked]:
        return [(self.plan(name), each) for name, each in keys.items()]

    def attach(self, rows: Iterable[T], **wanted: Any) -> list[T]:
        """Put snapshots on rows: `attach(events, customer="customer_id")`.

        Args:
            rows: Instances, mutable mappings, dataclasses (a frozen one is copied).
            wanted: The name to attach under, which is also the reference's; the value is the
                row's attribute or item that holds the key, or a pair of reference and key. A
                composite key is a tuple of names.

        Returns:
            The rows, in their order. A null key gives None, a missing row its placeholder.

        Raises:
            TypeError: A name is taken on a row, or a row takes no new names.
        """
        rows, asked = list(rows), attachments(wanted)
        found = self.lookup(keys_by_reference(rows, asked))
        return attached(rows, asked, found, self._placeholder)

    async def aattach(self, rows: Iterable[T], **wanted: Any) -> list[T]:
        rows, asked = list(rows), attachments(wanted)
        found = await self.alookup(keys_by_reference(rows, asked))
        return attached(rows, asked, found, self._placeholder)

    def _placeholder(self, reference: str, key: Any) -> Snapshot:
        return self[reference].placeholder(key)

    def _lookup(
        self, keys: Mapping[str, Iterable[object]], overrides: Overrides
    ) -> Steps[dict[str, Lookup]]:
        asked = self._plans_of(keys)
        found = yield from answers(asked, self.terms, max_stale=overrides.max_stale)
        return {
            name: as_lookup(plan, answer, overrides)
            for name, (plan, _), answer in zip(keys, asked, found, strict=True)
        }

    def plan(self, name: str) -> Plan:
        """The plan of a reference; see `Declared.plan`."""
        return self._declared.plan(name)

    def aliases(self) -> list[str]:
        """The database aliases that references load from, in order."""
        return self._hooks.watches.aliases()

    def tables(self, alias: str, *, alike: bool = False) -> Mapping[str, Table]:
        """The tables of that database that references read; see `Watches.tables`."""
        return self._hooks.watches.tables(alias, alike=alike)

    def declarations(self) -> list[Declaration]:
        return list(self._declared)

    @property
    def errors(self) -> dict[str, InvalidReference]:
        """The declarations that cannot work, by name."""
        return self._declared.errors

    @property
    def terms(self) -> Terms:
        return self.runtime.terms

    @property
    def invalidation(self) -> Invalidation:
        return self.runtime.invalidation

    @property
    def recovery(self) -> Recovery:
        """The releases that the store could not be told yet: `len()` and `age`."""
        return self.invalidation.recovery

    @property
    def runtime(self) -> Runtime:
        return self._running.runtime

    def emit(self, event: Event) -> None:
        self._observers.emit(event)

    def _tell(self, event: Event) -> None:
        tell_change(event, lambda name: self._declared.plans.readers(name))  # noqa: PLW0108 - planned late

    def subscribe(self, observer: Observer) -> None:
        """Be told of every event; see `refcache.core.events`."""
        self._observers.subscribe(observer)

    def run(self, steps: Steps[T]) -> T:
        """Perform a read in this thread."""
        if self.invalidation.has_dropped:
            self.invalidation.release_dropped()
        return run(steps, self.runtime.backend.perform)

    async def arun(self, steps: Steps[T]) -> T:
        """Perform a read in the running event loop."""
        if self.invalidation.has_dropped:
            await sync_to_async(self.invalidation.release_dropped)()
        return await arun(steps, self.runtime.backend.aperform)

    def _on_setting_changed(self, *, setting: str, **_: object) -> None:
        if setting in PLANNED_BY:
            self._declared.forget_plans()
            self._running.forget()


references = ReferenceCache()
