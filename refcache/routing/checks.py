"""The system check of the routers, where there are replicas.

docs/checks.md has a heading for it.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from django.apps import apps
from django.core.checks import CheckMessage, Tags, Warning, register  # noqa: A004 - Django's
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, router
from django.db.models import Model

from refcache.registry import references
from refcache.routing.instance_router import InstanceRouter

logger = logging.getLogger("refcache")

# Asks: routers that choose a replica at random are to be found out by chance no more.
ASKS = 20


class Replica(NamedTuple):
    alias: str
    primary: str


class Fault(NamedTuple):
    router: str
    replica: Replica
    model: str
    answer: str


@register(Tags.models)
def check_routers(**_: Any) -> list[CheckMessage]:
    """W007: a router has rows of a replica read their related rows elsewhere."""
    faults: dict[tuple[str, Replica], list[Fault]] = {}
    for each in dict.fromkeys(_replicas()):
        for fault in _faults(each):
            faults.setdefault((fault.router, fault.replica), []).append(fault)
    return [_warning(each) for each in faults.values()]


def _replicas() -> Iterator[Replica]:
    """Those that the settings, the references, or an `InstanceRouter` tell of."""
    for alias in connections:
        # What a test's MIRROR names is read in its place, so it is its primary.
        mirrored = connections.settings[alias].get("TEST", {}).get("MIRROR")
        if mirrored in connections:
            yield Replica(alias, mirrored)
    with suppress(ImproperlyConfigured):  # E001 and E002 tell.
        yield from _of_references()
    for each in router.routers:
        if isinstance(each, InstanceRouter):
            for primary, replicas in each.replicas.items():
                yield from (Replica(alias, primary) for alias in replicas)


def _of_references() -> Iterator[Replica]:
    for each in references.declarations():
        if each.fill_from is not None and each.name not in references.errors:
            yield Replica(each.fill_from, references.plan(each.name).origin.alias)


def _faults(replica: Replica) -> Iterator[Fault]:
    """For each model of the primary, who sends a read away from the replica, and where to."""
    for model in apps.get_models():
        if _home(model) != replica.primary:
            continue
        for _ in range(ASKS):
            name, answer = _answer(model, replica.alias)
            if answer != replica.alias:
                yield Fault(name, replica, model._meta.label, answer)
                break


def _home(model: type[Model]) -> str | None:
    try:
        return router.db_for_write(model)
    except Exception:  # A router of the project's, which may refuse a model.
        logger.debug("No router says where %s is written.", model._meta.label, exc_info=True)
        return None


def _answer(model: type[Model], alias: str) -> tuple[str, str]:
    """Which router decides on related rows of an instance that *alias* has given, and how."""
    for each in router.routers:
        ask = getattr(each, "db_for_read", None)
        if answer := ask and _asked(ask, model, alias):
            return f"{type(each).__module__}.{type(each).__qualname__}", answer
    return "", alias  # As Django does without an opinion.


def _asked(ask: Callable[..., str | None], model: type[Model], alias: str) -> str | None:
    try:
        instance = model()
        instance._state.db = alias
        return ask(model, instance=instance)
    except Exception:  # A model or a router of the project's, which may want a real row.
        logger.debug("No instance of %s can be asked about.", model._meta.label, exc_info=True)
        return None


def _warning(faults: list[Fault]) -> CheckMessage:
    name, replica, model, answer = faults[0]
    others = f" (and of {len(faults) - 1} more models)" if faults[1:] else ""
    return Warning(
        f"{name} ignores the instance that a read is for: rows of {model}{others} that belong to "
        f"a row read from the replica {replica.alias!r} are read from {answer!r}.",
        hint="In db_for_read(), return hints['instance']._state.db where that is a database of "
        "the model; refcache.routing.InstanceRouter does. Or prefetch with prefetch_using(), and "
        "silence this.",
        id="refcache.W007",
    )
