"""System checks: what is wrong with settings and declarations, before anybody reads.

docs/checks.md has a heading for each id.
"""

from collections.abc import Iterator
from typing import Any

from django.core.cache import caches
from django.core.cache.backends.base import default_key_func
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 - Django's
from django.core.exceptions import ImproperlyConfigured

from refcache import reference_checks, server_checks  # noqa: F401 - register their own
from refcache.alias_options import shared_pools, unused_options
from refcache.conf import conf
from refcache.connections import key_prefix, place_of
from refcache.core.exceptions import InvalidReference, NotBuiltYet, ReservedName
from refcache.reading.columns import UnsupportedField
from refcache.registry import references
from refcache.routing import checks as routing_checks  # noqa: F401 - registers its own


@register(Tags.caches)
def check_settings(**_: Any) -> list[CheckMessage]:
    """E001: `REFCACHE` is not what it may be."""
    try:
        conf().refresh_elsewhere  # noqa: B018 - which nobody else imports before it is needed
    except ImproperlyConfigured as exc:
        return [Error(str(exc), id="refcache.E001")]
    return []


@register(Tags.caches)
def check_cache(**_: Any) -> list[CheckMessage]:
    """E002: the alias cannot serve; W001: it serves this process only; W002: its keys may vary."""
    if check_settings():
        return []
    alias = conf().cache
    try:
        place_of(conf())
        key_prefix(alias)
    except ImproperlyConfigured as exc:
        return [Error(str(exc), id="refcache.E002")]
    found: list[CheckMessage] = []
    if caches[alias].key_func is not default_key_func:
        found.append(
            Warning(
                f"CACHES[{alias!r}] has a KEY_FUNCTION of its own: refcache asks it once for its "
                "prefix, so one that depends on the request (as for tenants) would mix them up.",
                hint="Give refcache an alias without KEY_FUNCTION, and a reference per database.",
                id="refcache.W002",
            )
        )
    if isinstance(caches[alias], LocMemCache | DummyCache):
        found.append(
            Warning(
                f"REFCACHE['CACHE'] names {alias!r}, which is no Redis: every process keeps a "
                "store of its own, and other processes' writes do not reach it.",
                hint="Fine for development; in production name an alias of django_redis.",
                id="refcache.W001",
            )
        )
    return found


@register(Tags.caches)
def check_options(**_: Any) -> list[CheckMessage]:
    """W004: options of the alias do not do what they seem to."""
    if check_settings() or any(each.is_serious() for each in check_cache()):
        return []
    alias = conf().cache
    try:
        advice = [*unused_options(alias), *shared_pools(alias)]
    except (AttributeError, LookupError, TypeError):  # Other aliases are for Django to check.
        return []
    return [Warning(message, hint=hint, id="refcache.W004") for message, hint in advice]


@register(Tags.models)
def check_references(**_: Any) -> list[CheckMessage]:
    """E003 to E006: a declaration cannot work."""
    if check_settings() or any(each.is_serious() for each in check_cache()):
        return []
    return list(_reference_errors())


@register(Tags.models)
def check_watching(**_: Any) -> list[CheckMessage]:
    """W003: statements that no signal announces are not looked at."""
    return [
        Warning(
            f"Reference {declaration.name!r} has watch_sql=False: after raw SQL, and Django's own "
            "update() and bulk_create(), old values are served until their ttl has passed.",
            hint="Leave watch_sql out. Or write by save(), delete() and ReferenceQuerySet alone, "
            "or install triggers (refcache_triggers), and silence this.",
            id="refcache.W003",
        )
        for declaration in references.declarations()
        if not declaration.watch_sql
    ]


def _reference_errors() -> Iterator[CheckMessage]:
    for name, error in references.errors.items():
        yield Error(f"Reference {name!r}: {error}", id=_error_id(error))


def _error_id(error: InvalidReference) -> str:
    if isinstance(error, UnsupportedField):
        return "refcache.E004"
    if isinstance(error, ReservedName):
        return "refcache.E005"
    if isinstance(error, NotBuiltYet):
        return "refcache.E006"
    return "refcache.E003"
