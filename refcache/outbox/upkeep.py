"""Triggers after migrations: which are missing or outdated, and made again."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from enum import Enum
from typing import Any

from django.core.checks import CheckMessage, Warning  # noqa: A004 - Django's
from django.core.exceptions import ImproperlyConfigured
from django.db import Error as DatabaseError
from django.db import connections

from refcache.outbox.dialects import Existing, TriggerPlan
from refcache.outbox.models import InstalledTrigger
from refcache.outbox.triggers import DIALECTS, dialect_of, has_outbox, install, plan_of
from refcache.registry import references
from refcache.writing.tables import Table


class State(Enum):
    """How the triggers of a table are."""

    CURRENT = "current"
    OUTDATED = "outdated"
    MISSING = "missing"


def states(alias: str, tables: Mapping[str, Table]) -> dict[str, State]:
    """How the triggers are of each of these tables that is there.

    Raises:
        NotSupportedError: There are no triggers for this database.
    """
    connection = connections[alias]
    existing = dialect_of(connection).existing(connection)
    records = {each.table: each for each in InstalledTrigger._default_manager.using(alias)}
    found = {}
    for name, table in tables.items():
        record = records.get(name)
        try:
            plan = plan_of(connection, table, notify=record is None or record.notifies)
        except LookupError:  # Not migrated yet.
            continue
        found[name] = _state(plan, record, existing)
    return found


def _state(plan: TriggerPlan, record: InstalledTrigger | None, existing: list[Existing]) -> State:
    there = {each.name for each in existing if each.name in plan.creates}
    if record is not None and record.digest == plan.digest and len(there) == len(plan.creates):
        return State.CURRENT
    # A table that was renamed has kept its triggers, and has no record by its new name.
    is_watched = any(each.relation in plan.relations for each in existing)
    return State.OUTDATED if record is not None or is_watched else State.MISSING


def reinstall(alias: str, tables: Mapping[str, Table]) -> list[str]:
    """Make again what a migration has dropped or outdated.

    Returns:
        The tables' names.
    """
    records = InstalledTrigger._default_manager.using(alias)
    silent = set(records.filter(notifies=False).values_list("table", flat=True))
    outdated = [name for name, state in states(alias, tables).items() if state is State.OUTDATED]
    for name in outdated:
        install(alias, {name: tables[name]}, notify=name not in silent)
    return outdated


def after_migrate(*, using: str, **more: Any) -> None:
    """Receive `post_migrate`; `flush` sends it too, without a plan."""
    if "plan" in more and _is_served(using):
        reinstall(using, references.tables(using))


def check_triggers(*, databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Look at the triggers of databases where some are installed."""
    found: list[CheckMessage] = []
    for alias in databases or ():
        # refcache.E001 and E002 tell of settings; whether a database runs is for others to watch.
        with suppress(ImproperlyConfigured, DatabaseError):
            if _is_served(alias):
                found += _messages(alias, states(alias, references.tables(alias)))
    return found


def _is_served(alias: str) -> bool:
    is_known = connections[alias].vendor in DIALECTS
    return is_known and bool(references.tables(alias)) and has_outbox(alias)


def _messages(alias: str, found: dict[str, State]) -> Iterator[CheckMessage]:
    if set(found.values()) <= {State.MISSING}:
        return  # They are not used there.
    hint = f"Run `manage.py refcache_triggers install --database {alias}`."
    for name, state in found.items():
        if state is State.MISSING:
            text = f"{name!r} in {alias!r} has no triggers, though other tables there have."
            yield Warning(text, hint=hint, id="refcache_outbox.W001")
        elif state is State.OUTDATED:
            text = f"The triggers of {name!r} in {alias!r} are not those that it needs now."
            yield Warning(text, hint=hint, id="refcache_outbox.W002")
