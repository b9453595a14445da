"""A read from the front door to the snapshots: cast keys, resolve, put placeholders."""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

from refcache.core.composition import Gathered, Wanted, resolve
from refcache.core.events import KeyRejected, Refreshing, Resolved
from refcache.core.exceptions import (
    InvalidKey,
    InvalidReference,
    MissingRows,
    ReferenceUnavailable,
)
from refcache.core.keys import Key
from refcache.core.operations import Refresh
from refcache.core.pages import Mode
from refcache.core.snapshots import Snapshot, placeholder
from refcache.core.sources import ABSENT, FAILED, NoRow
from refcache.core.staleness import seconds
from refcache.core.terms import Steps, Terms
from refcache.declaration import INSTEAD, Instead
from refcache.reading.casts import shown
from refcache.reading.planning import Plan


@dataclass(frozen=True, slots=True)
class Overrides:
    """What one call wants otherwise than declared; None: as declared."""

    on_missing: Instead = "omit"
    on_error: Instead | None = None
    max_stale: float | timedelta | None = None

    def __post_init__(self) -> None:
        for name, value in (("on_missing", self.on_missing), ("on_error", self.on_error)):
            if value is not None and value not in INSTEAD:
                raise ValueError(f"{name}={value!r}: give one of {', '.join(INSTEAD)}.")
        if self.max_stale is not None:
            try:
                seconds(self.max_stale, "max_stale")
            except InvalidReference as exc:
                raise ValueError(str(exc)) from None


class Keys(NamedTuple):
    """Keys as the database spells them, distinct; and what cannot be one."""

    cast: list[Key]
    errors: dict[Any, InvalidKey]


class Answer(NamedTuple):
    """One reference's part of a read; `absent` and `failed` in the order of the keys."""

    keys: Keys
    gathered: Gathered
    absent: list[Key]
    failed: list[Key]


def answers(
    wanted: Sequence[tuple[Plan, Iterable[object]]],
    terms: Terms,
    mode: Mode = Mode.TRUST,
    *,
    max_stale: float | timedelta | None = None,
    horizon_ms: int = 0,
) -> Steps[list[Answer]]:
    """Resolve the keys of several references together; see to it that old ones are refreshed."""
    asked = [(plan, cast_keys(plan, keys, terms)) for plan, keys in wanted]
    gathered = yield from resolve(
        [Wanted(plan.node, keys.cast, plan.policy.capped(max_stale)) for plan, keys in asked],
        terms,
        mode,
        horizon_ms,
    )
    found = [_answer(keys, each) for (_, keys), each in zip(asked, gathered, strict=True)]
    for (plan, _), each in zip(asked, found, strict=True):
        terms.emit(_summary(plan, each))
    yield from _refresh([plan for plan, _ in asked], found, terms)
    return found


def _refresh(plans: list[Plan], found: list[Answer], terms: Terms) -> Steps[None]:
    """Have loaded anew, in the background, what is old or soon will be."""
    due = {
        plan.declaration.name: keys
        for plan, each in zip(plans, found, strict=True)
        if (keys := _due(each))
    }
    if not due:
        return
    for name, keys in due.items():
        terms.emit(Refreshing(name, len(keys)))
    pages = (page for each in found for page in each.gathered.all_pages())
    yield Refresh(due, max(page.horizon_ms for page in pages))


def _due(found: Answer) -> list[Key]:
    due = {id(page): set(page.due) for page in found.gathered.all_pages() if page.due}
    if not due:
        return []
    return [
        key
        for key in found.keys.cast
        if any(name in due.get(id(page), ()) for page, name in found.gathered.parts(key))
    ]


def cast_keys(plan: Plan, keys: Iterable[object], terms: Terms) -> Keys:
    """Keys that cannot be one do not spoil the others; null keys are left out."""
    if isinstance(keys, str | bytes):
        raise TypeError(f"{keys!r} is one key: give a list of keys, or use get().")
    given: list[Any] = list(keys)
    low, high = plan.integers
    if set(map(type, given)) == {int} and low <= min(given) and max(given) <= high:
        return Keys(list(dict.fromkeys(given)), {})  # A warm page's way.
    given = [key for key in given if key is not None]
    if len(plan.key_names) == 1:
        try:
            return Keys(list(dict.fromkeys(map(plan.cast, given))), {})
        except InvalidKey:
            pass  # Which of them, and why, is told one by one.
    errors: dict[Any, InvalidKey] = {}
    cast: dict[Key, None] = {}
    for key in given:
        try:
            if not is_null(key):
                cast[plan.cast(key)] = None
        except InvalidKey as exc:
            errors[_name(key)] = exc
            terms.emit(KeyRejected(plan.declaration.name, str(exc)))
    return Keys(list(cast), errors)


def _name(key: object) -> Hashable:
    try:
        hash(key)
    except TypeError:
        return shown(key)
    return key


def is_null(key: object) -> bool:
    """Whether *key* refers to nothing: `None`, or a composite key with a null part."""
    return key is None or (isinstance(key, tuple | list) and None in key)


def snapshots(plan: Plan, answer: Answer, overrides: Overrides) -> dict[Key, Snapshot]:
    """Snapshots in the order of the keys.

    Raises:
        MissingRows: There are absent keys and `on_missing` is "raise".
        ReferenceUnavailable: The database could not be read, and `on_error` is "raise".
    """
    gathered, keys = answer.gathered, answer.keys.cast
    if plan.node.build is None:  # Rows are snapshots: the warm page's way.
        found: Mapping[Key, Any] = gathered.rows
    else:
        found = {key: gathered.compose(key) for key in keys}
    if not (answer.absent or answer.failed):
        return dict(found) if list(found) == keys else {key: found[key] for key in keys}
    on_error = overrides.on_error or plan.declaration.on_error
    if answer.failed and on_error == "raise":
        error = next(iter(_failures(answer)), None)
        raise ReferenceUnavailable(plan.declaration.name, list(answer.failed)) from error
    if answer.absent and overrides.on_missing == "raise":
        raise MissingRows(plan.declaration.name, list(answer.absent))
    instead = {ABSENT: overrides.on_missing, FAILED: on_error}
    return {
        key: row if not isinstance(row, NoRow) else stand_in(plan, key)
        for key in keys
        if not isinstance(row := found[key], NoRow) or instead[row] == "placeholder"
    }


def _failures(answer: Answer) -> Iterator[Exception]:
    for page in answer.gathered.all_pages():
        yield from page.failures.values()


def stand_in(plan: Plan, key: Key) -> Snapshot:
    """The placeholder for a row that is missing."""
    missing = plan.declaration.missing
    return placeholder(plan.snapshot_type, key, missing(key) if missing else {})


def _answer(keys: Keys, found: Gathered) -> Answer:
    rows = found.rows
    is_complete = NoRow not in set(map(type, rows.values()))  # As most pages are.
    absent = [] if is_complete else [key for key in keys.cast if rows[key] is ABSENT]
    has_failures = any(page.failures for page in found.all_pages())
    failed = [key for key in keys.cast if found.compose(key) is FAILED] if has_failures else []
    return Answer(keys, found, absent, failed)


def _summary(plan: Plan, found: Answer) -> Resolved:
    loads = sum(len(page.loaded) for page in found.gathered.pages)
    hits = max(len(found.keys.cast) - loads - len(found.failed), 0)
    return Resolved(plan.declaration.name, hits, loads, len(found.absent))
