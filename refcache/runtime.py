"""What the references of a registry share at run time: settings, store, terms, invalidation."""

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from refcache.conf import Conf, conf
from refcache.connections import Place, place_of
from refcache.core.events import Event
from refcache.core.terms import Terms
from refcache.reading.backend import Backend
from refcache.writing.invalidation import Invalidation


@dataclass(frozen=True, slots=True)
class Runtime:
    """Made at the first use, so after a fork; made anew when a test changes the settings."""

    prefix: bytes
    backend: Backend
    terms: Terms
    invalidation: Invalidation


def make_runtime(emit: Callable[[Event], None], place: Place | None = None) -> Runtime:
    """Everything for one registry; no connection is opened.

    Raises:
        ImproperlyConfigured: The settings cannot work.
    """
    settings = conf()
    store, prefix = place or place_of(settings)
    terms = _terms(settings, emit)
    backend = Backend(store)
    return Runtime(prefix, backend, terms, Invalidation(backend.perform, terms))


def _terms(settings: Conf, emit: Callable[[Event], None]) -> Terms:
    return Terms(
        token=lambda: os.urandom(8),
        epoch=_new_epoch,
        chance=random.random,
        emit=emit,
        lease_timeout=settings.lease_timeout,
        lease_wait=settings.lease_wait,
        write_timeout=settings.write_timeout,
        jitter=settings.jitter,
    )


def _new_epoch() -> bytes:
    """Twelve bytes that are given once: milliseconds, and chance for those who share one."""
    return (time.time_ns() // 1_000_000).to_bytes(6, "big") + os.urandom(6)
