"""What the references of a registry share at run time: settings, store, terms, invalidation."""

import os
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from refcache.conf import Conf, conf
from refcache.connections import Place, place_of
from refcache.core.copies import Copies
from refcache.core.events import Event
from refcache.core.terms import Terms
from refcache.processes import after_fork, at_exit
from refcache.reading.backend import Backend
from refcache.reading.refreshing import Refresher, Refreshing
from refcache.reading.workers import Workers
from refcache.tiers.breaker import Breaker
from refcache.writing.invalidation import Invalidation

WAITING_LOADS = 1000  # jobs; those who asked have gone by then
WAITING_REFRESHES = 100  # calls; the next reader of what is old asks again


class Registry(Refreshing, Protocol):
    """What the runtime needs of its registry."""

    def emit(self, event: Event) -> None: ...


@dataclass(frozen=True, slots=True)
class Runtime:
    """Made at the first use, so after a fork; made anew when a test changes the settings."""

    prefix: bytes
    backend: Backend
    terms: Terms
    invalidation: Invalidation
    close: Callable[[], None]  # its connections; those of event loops end with their loops


class Running:
    """A registry's runtime, made at the first use.

    In a forked child it is made anew: other threads of its parent may have held any lock, those
    of redis-py too.
    """

    def __init__(self, registry: Registry, place: Place | None) -> None:
        self.place = place
        self._registry = registry
        self._runtime: Runtime | None = None
        self._lock = threading.RLock()
        after_fork(self._forget_parent)
        # Before the runtime registers its threads' ends, as the last to come is called first.
        at_exit(self._close)

    @property
    def runtime(self) -> Runtime:
        if (made := self._runtime) is not None:
            return made
        with self._lock:
            self._runtime = self._runtime or make_runtime(self._registry, self.place)
            return self._runtime

    def forget(self) -> None:
        """Make it anew at the next use."""
        if self.place is None:  # Else the connections are those of the next one too.
            self._close()
        self._runtime = None

    def _close(self) -> None:
        # Sockets that are left to the garbage collector may be found before their connections:
        # then Python warns of them.
        if (made := self._runtime) is not None:
            made.close()

    def _forget_parent(self) -> None:
        self._lock, self._runtime = threading.RLock(), None


def make_runtime(registry: Registry, place: Place | None = None) -> Runtime:
    """Everything for one registry; no connection is opened and no thread started.

    Raises:
        ImproperlyConfigured: The settings cannot work.
    """
    settings = conf()
    bare, prefix = place or place_of(settings, registry.emit)
    store = Breaker(
        bare, registry.emit, failures=settings.breaker_failures, pause=settings.breaker_pause
    )
    terms = _terms(settings, registry)
    refresher = Refresher(
        registry,
        Workers("refresh", settings.refresh_threads, WAITING_REFRESHES),
        settings.refresh_elsewhere,
    )
    backend = Backend(
        store,
        _loading(settings.load_threads),
        refresher.refresh,
        refresher.arefresh,
        is_owing=lambda: invalidation.is_owing,
    )
    invalidation = Invalidation(backend.perform_write, terms)
    return Runtime(prefix, backend, terms, invalidation, store.close)


def _loading(most: int) -> Callable[[str], Workers]:
    """Threads by database alias, made when they are needed."""
    made: dict[str, Workers] = {}

    def threads(alias: str) -> Workers:
        known = made.get(alias)
        # Two threads may come here at once: what the second one makes is nobody's.
        name = f"load-{alias}"
        return known or made.setdefault(alias, Workers(name, most, WAITING_LOADS))

    return threads


def _terms(settings: Conf, registry: Registry) -> Terms:
    return Terms(
        token=lambda: os.urandom(8),
        epoch=_new_epoch,
        chance=random.random,
        emit=registry.emit,
        lease_timeout=settings.lease_timeout,
        lease_wait=settings.lease_wait,
        write_timeout=settings.write_timeout,
        jitter=settings.jitter,
        early=settings.early_refresh,
        monotonic=time.monotonic,
        copies=Copies(settings.copies),
    )


def _new_epoch() -> bytes:
    """Twelve bytes that are given once: milliseconds, and chance for those who share one."""
    return (time.time_ns() // 1_000_000).to_bytes(6, "big") + os.urandom(6)
