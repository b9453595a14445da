"""Settings that make no sense are told by the checks, which never fail themselves."""

from typing import Any

import pytest
from django.core.checks.registry import registry

pytestmark = pytest.mark.django_db

URL = "redis://127.0.0.1:1/0"
BACKEND = "django_redis.cache.RedisCache"

LOCATIONS: list[Any] = [None, 5, "", [], "nonsense", "redis://[::1/0"]
EXECUTORS = [".x", "a..b", "x.", "no.such", f"{__name__}.nothing", f"{__name__}.loud.task"]
ALIASES: list[dict[str, Any]] = [
    {},
    *({"LOCATION": location} for location in LOCATIONS),
    {"LOCATION": URL, "OPTIONS": None},
    {"LOCATION": URL, "KEY_FUNCTION": "no.such"},
    {"LOCATION": URL, "KEY_FUNCTION": f"{__name__}.raising"},
    *(
        {"LOCATION": URL, "OPTIONS": options}
        for options in (
            {"CLIENT_CLASS": "no.such"},
            {"CONNECTION_POOL_CLASS": "no.such"},
            {"CONNECTION_POOL_KWARGS": None},
            {"SENTINEL_KWARGS": None},
        )
    ),
]


def raising(_key: str, _prefix: str, _version: int) -> str:
    raise KeyError("no tenant")


def found() -> set[str | None]:
    """What all of refcache's checks say, without and with a database."""
    mine = [each for each in registry.get_checks() if each.__module__.startswith("refcache")]
    assert {each.__module__ for each in mine} >= {
        "refcache.checks",
        "refcache.server_checks",
        "refcache.outbox.upkeep",
    }
    return {
        message.id
        for check in mine
        for databases in (None, ["default"])
        for message in check(app_configs=None, databases=databases)
        if message.is_serious()
    }


@pytest.mark.parametrize("executor", EXECUTORS)
def test_an_executor_that_cannot_be_imported_is_told_by_e001(settings: Any, executor: str) -> None:
    settings.REFCACHE = {"EXECUTOR": executor}

    assert found() == {"refcache.E001"}


def test_a_module_that_raises_while_it_is_imported_is_told_by_e001(
    settings: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "refcache_test_raising.py").write_text("raise SystemError('of its own')")
    monkeypatch.syspath_prepend(tmp_path)
    settings.REFCACHE = {"EXECUTOR": "refcache_test_raising.refresh"}

    assert found() == {"refcache.E001"}


@pytest.mark.parametrize("alias", ALIASES, ids=str)
def test_an_alias_that_cannot_be_used_is_told_by_e002(settings: Any, alias: dict[str, Any]) -> None:
    settings.CACHES = {"default": {"BACKEND": BACKEND, **alias}}

    assert found() == {"refcache.E002"}


@pytest.mark.parametrize("alias", [{"LOCATION": None}, {"LOCATION": 5}], ids=str)
def test_another_alias_that_cannot_be_used_is_none_of_refcaches_business(
    settings: Any, alias: dict[str, Any]
) -> None:
    settings.CACHES = {**settings.CACHES, "other": {"BACKEND": BACKEND, **alias}}

    assert found() == set()
