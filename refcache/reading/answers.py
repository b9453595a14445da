"""A read from the front door to the snapshots: cast keys, resolve, put placeholders."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_args

from refcache.core.composition import Gathered, resolve
from refcache.core.events import KeyRejected, Resolved
from refcache.core.exceptions import InvalidKey, MissingRows
from refcache.core.keys import Key
from refcache.core.pages import Mode
from refcache.core.snapshots import Snapshot, placeholder
from refcache.core.sources import ABSENT, Absence
from refcache.core.terms import Steps, Terms
from refcache.reading.casts import shown
from refcache.reading.planning import Plan

OnMissing = Literal["omit", "placeholder", "raise"]
ON_MISSING = get_args(OnMissing)


class Keys(NamedTuple):
    """Keys as the database spells them, distinct; and what cannot be one."""

    cast: list[Key]
    errors: dict[Any, InvalidKey]


class Answer(NamedTuple):
    """One reference's part of a read; `absent` in the order of the keys."""

    keys: Keys
    gathered: Gathered
    absent: list[Key]


def answers(
    wanted: Sequence[tuple[Plan, Iterable[object]]], terms: Terms, mode: Mode = Mode.TRUST
) -> Steps[list[Answer]]:
    """Resolve the keys of several references together."""
    asked = [(plan, cast_keys(plan, keys, terms)) for plan, keys in wanted]
    gathered = yield from resolve([(plan.node, keys.cast) for plan, keys in asked], terms, mode)
    found = [_answer(keys, each) for (_, keys), each in zip(asked, gathered, strict=True)]
    for (plan, _), each in zip(asked, found, strict=True):
        terms.emit(_summary(plan, each))
    return found


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


def snapshots(plan: Plan, answer: Answer, on_missing: OnMissing) -> dict[Key, Snapshot]:
    """Snapshots in the order of the keys.

    Raises:
        MissingRows: There are absent keys and *on_missing* is "raise".
        ValueError: *on_missing* is none of `OnMissing`.
    """
    if on_missing not in ON_MISSING:
        raise ValueError(f"on_missing={on_missing!r}: give one of {', '.join(ON_MISSING)}.")
    gathered = answer.gathered
    if plan.node.build is None:  # Rows are snapshots: the warm page's way.
        found: Mapping[Key, Any] = gathered.rows
    else:
        found = {key: gathered.compose(key) for key in answer.keys.cast}
    absent = answer.absent
    if not absent and list(found) == answer.keys.cast:
        return dict(found)
    if not absent:
        return {key: found[key] for key in answer.keys.cast}
    if on_missing == "raise":
        raise MissingRows(plan.declaration.name, list(absent))
    if on_missing == "omit":
        return {key: found[key] for key in answer.keys.cast if found[key] is not ABSENT}
    stand_ins = {key: stand_in(plan, key) for key in absent}
    return {key: stand_ins[key] if key in stand_ins else found[key] for key in answer.keys.cast}


def stand_in(plan: Plan, key: Key) -> Snapshot:
    """The placeholder for a row that is missing."""
    missing = plan.declaration.missing
    return placeholder(plan.snapshot_type, key, missing(key) if missing else {})


def _answer(keys: Keys, found: Gathered) -> Answer:
    rows = found.rows
    is_complete = Absence not in set(map(type, rows.values()))  # As most pages are.
    absent = [] if is_complete else [key for key in keys.cast if rows[key] is ABSENT]
    return Answer(keys, found, absent)


def _summary(plan: Plan, found: Answer) -> Resolved:
    loads = sum(len(page.loaded) for page in found.gathered.pages)
    hits = max(len(found.keys.cast) - loads, 0)
    return Resolved(plan.declaration.name, hits, loads, len(found.absent))
