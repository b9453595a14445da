"""What `register` was told, checked for what can be checked without a model."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Literal, get_args

from django.conf import settings

from refcache.conf import conf
from refcache.core.exceptions import InvalidReference, NotBuiltYet
from refcache.core.keys import NAME
from refcache.core.staleness import Policy, Staleness, seconds

PRIMARY = ("pk",)

Instead = Literal["omit", "placeholder", "raise"]
"""What a caller gets in the place of a row that is missing, or that nobody could read."""

INSTEAD = get_args(Instead)


@dataclass(frozen=True, slots=True)
class Declaration:
    """One reference as its project declared it; durations in seconds.

    `key` is a tuple of field names, `("pk",)` for the primary key.
    """

    label: str
    name: str
    fields: tuple[str, ...]
    key: tuple[str, ...] = PRIMARY
    using: str | None = None
    ttl: float = 300.0
    negative_ttl: float = 30.0
    local_ttl: float = 0.0
    staleness: Staleness = field(default_factory=Staleness)
    missing: Callable[[Any], Mapping[str, Any]] | None = None
    filter: Mapping[str, Any] = field(default_factory=dict)
    version: int = 1
    strict: bool | None = None
    watch_sql: bool = True
    on_error: Instead = "raise"
    soft_timeout: float | None = None
    load_timeout: float | None = None
    fill_from: str | None = None
    grace: float = 0.0
    by: tuple[tuple[str, ...], ...] = ()
    where: tuple[str, ...] = ()

    @property
    def policy(self) -> Policy:
        """What its reads accept, unless they say otherwise."""
        return Policy(
            round(1000 * seconds(self.staleness.while_revalidate, "while_revalidate")),
            round(1000 * seconds(self.staleness.if_error, "if_error")),
            conf().soft_timeout if self.soft_timeout is None else self.soft_timeout,
            conf().load_timeout if self.load_timeout is None else self.load_timeout,
        )

    @property
    def read(self) -> tuple[str, ...]:
        """The fields whose models' rows answers are made of."""
        return (*self.fields, *self.where)

    @property
    def is_by_primary_key(self) -> bool:
        return self.key == PRIMARY

    def is_again(self, other: "Declaration") -> bool:
        """Whether *other* is this one, declared again, as when a test changes INSTALLED_APPS."""
        return replace(self, missing=None) == replace(other, missing=None)

    @property
    def is_strict(self) -> bool:
        """As declared; else as the settings say."""
        return conf().strict if self.strict is None else self.strict


def declare(  # noqa: PLR0913 - what a declaration may say
    *,
    fields: Sequence[str],
    key: str | Sequence[str],
    ttl: float | timedelta,
    negative_ttl: float | timedelta,
    local_ttl: float | timedelta,
    grace: float | timedelta = 0.0,
    soft_timeout: float | timedelta | None = None,
    load_timeout: float | timedelta | None = None,
    by: Sequence[str | Sequence[str]] = (),
    where: Sequence[str] = (),
    **rest: Any,
) -> Declaration:
    """A declaration out of what a caller may write; of *rest*, None means the default.

    Raises:
        InvalidReference: A value is not of the kind that its parameter takes.
    """
    declaration = Declaration(
        fields=_names("fields", fields),
        key=(key,) if isinstance(key, str) else _names("key", key),
        ttl=seconds(ttl, "ttl"),
        negative_ttl=seconds(negative_ttl, "negative_ttl"),
        local_ttl=seconds(local_ttl, "local_ttl"),
        grace=seconds(grace, "grace"),
        soft_timeout=_limit("soft_timeout", soft_timeout),
        load_timeout=_limit("load_timeout", load_timeout),
        by=_further_keys(by),
        where=_names("where", where) if where else (),
        **{name: value for name, value in rest.items() if value is not None},
    )
    _check(declaration)
    return declaration


def _limit(parameter: str, value: float | timedelta | None) -> float | None:
    if value is None:
        return None
    limit = seconds(value, parameter)
    if limit == 0:
        raise InvalidReference(f"{parameter}=0: give seconds > 0, or None for no limit.")
    return limit


def _further_keys(value: Any) -> tuple[tuple[str, ...], ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise InvalidReference(
            f"by={value!r} is no list of keys: give fields, or tuples of fields, as in "
            'by=["email", ("site", "number")].'
        )
    return tuple((each,) if isinstance(each, str) else _names("by", each) for each in value)


def _names(parameter: str, value: Any) -> tuple[str, ...]:
    names = tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else ()
    if not names or not all(isinstance(name, str) for name in names):
        raise InvalidReference(
            f"{parameter}={value!r} is no list of field names: give at least one, as in "
            f'{parameter}=["name"].'
        )
    return names


def _check(declaration: Declaration) -> None:
    name: object = declaration.name
    if not isinstance(name, str) or not NAME.fullmatch(name) or name.startswith("~"):
        raise InvalidReference(
            f"{name!r} cannot name a reference: use a-z, 0-9, '_', '.' and '-', as in "
            "name='customer'."
        )
    if declaration.ttl == 0:
        raise InvalidReference(f"Reference {declaration.name!r} has ttl=0: give seconds > 0.")
    if type(declaration.version) is not int or not 0 <= declaration.version < 2**32:
        raise InvalidReference(
            f"Reference {declaration.name!r} has version={declaration.version!r}: give a whole "
            "number from 0 to 4294967295."
        )
    if not isinstance(declaration.staleness, Staleness):
        raise InvalidReference(
            f"Reference {declaration.name!r} has staleness={declaration.staleness!r}: give a "
            "refcache.Staleness."
        )
    if declaration.local_ttl > 0:
        raise NotBuiltYet(
            f"Reference {declaration.name!r} has local_ttl={declaration.local_ttl:g}: the "
            "in-process tier is not built yet. Leave local_ttl out."
        )
    _check_flags(declaration)
    _check_limits(declaration)
    _check_foreign(declaration)
    _check_replica(declaration)


def _check_flags(declaration: Declaration) -> None:
    flags = {"strict": declaration.strict, "watch_sql": declaration.watch_sql}
    for name, value in flags.items():
        if value not in (True, False, None):
            raise InvalidReference(
                f"Reference {declaration.name!r} has {name}={value!r}: give True or False."
            )
    if declaration.on_error not in INSTEAD:
        raise InvalidReference(
            f"Reference {declaration.name!r} has on_error={declaration.on_error!r}: give one of "
            f"{', '.join(INSTEAD)}."
        )


def _check_limits(declaration: Declaration) -> None:
    soft, load = declaration.soft_timeout, declaration.load_timeout
    if soft is not None and load is not None and soft >= load:
        raise InvalidReference(
            f"Reference {declaration.name!r} has soft_timeout={soft:g} and load_timeout={load:g}: "
            "old values would never be served before the load has failed. Give a soft_timeout "
            "below load_timeout, or leave it out."
        )


def _check_replica(declaration: Declaration) -> None:
    if declaration.fill_from is not None and declaration.fill_from not in settings.DATABASES:
        known = ", ".join(settings.DATABASES)
        raise InvalidReference(
            f"Reference {declaration.name!r} has fill_from={declaration.fill_from!r}, which is no "
            f"alias of DATABASES (known: {known})."
        )
    # A grace alone is what the deployment before needs: its writes are to leave tombstones.
    if declaration.fill_from is not None and not declaration.grace:
        raise InvalidReference(
            f"Reference {declaration.name!r} has fill_from={declaration.fill_from!r} without a "
            "grace: give one that is longer than the replica ever lags, as in grace=10."
        )


def _check_foreign(declaration: Declaration) -> None:
    missing: object = declaration.missing
    if missing is not None and not callable(missing):
        raise InvalidReference(
            f"Reference {declaration.name!r} has missing={missing!r}: give a function of the key "
            'that gives the fields, as in missing=lambda key: {"name": "Unknown"}.'
        )
    lookups: object = declaration.filter
    if not isinstance(lookups, Mapping) or not all(isinstance(each, str) for each in lookups):
        raise InvalidReference(
            f"Reference {declaration.name!r} has filter={lookups!r}: give a dictionary of "
            'lookups, as in filter={"is_active": True}.'
        )
