"""The checks that ask servers, which run where Django checks databases."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections

from refcache import ReferenceCache
from refcache.server_checks import LIMITS, _is_limited, check_eviction, check_transactions
from tests.integration.conftest import NewRegistry
from tests.servers.redis_server import RedisServer

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "events", "sqlite"])

POSTGRES = ("idle_in_transaction_session_timeout", "statement_timeout", "transaction_timeout")
ALIASES = ["default", "events"]


@pytest.fixture
def references(
    new_registry: NewRegistry, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ReferenceCache]:
    """What the check looks at; the limits of the session are taken away again."""
    references = new_registry()
    references.register("testapp.Customer", ["name"], name="customer")
    monkeypatch.setattr("refcache.server_checks.references", references)
    yield references
    for name in known():
        execute(f"RESET {name}")


def known() -> list[str]:
    """Those that this version of PostgreSQL has."""
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT name FROM pg_settings WHERE name = ANY(%s)", [list(POSTGRES)])
        return [name for (name,) in cursor.fetchall()]


def execute(statement: str) -> None:
    with connections["default"].cursor() as cursor:
        cursor.execute(statement)


def limit(**seconds: float) -> None:
    for name, value in seconds.items():
        execute(f"SET {name} = {int(value * 1000)}")


def messages(databases: list[str] | None) -> list[str]:
    return [f"{each.id}: {each.msg}" for each in check_transactions(databases=databases)]


@pytest.mark.usefixtures("references")
def test_w005_transactions_that_may_outlast_their_markers() -> None:
    (message,) = messages(ALIASES)

    assert message.startswith("refcache.W005: On 'default' a transaction may last for longer")
    assert "(60 s)" in message
    assert "idle_in_transaction_session_timeout: 0, statement_timeout: 0" in message


@pytest.mark.parametrize(
    ("idle", "statement", "is_warned"),
    [(60, 60, False), (60, 0, True), (0, 60, True), (61, 60, True), (0.5, 30, False)],
)
@pytest.mark.usefixtures("references")
def test_both_limits_have_to_be_short_enough(
    idle: float, statement: float, *, is_warned: bool
) -> None:
    limit(idle_in_transaction_session_timeout=idle, statement_timeout=statement)

    assert bool(messages(ALIASES)) is is_warned


@pytest.mark.parametrize(
    ("vendor", "values", "expected"),
    [
        ("postgresql", {"transaction_timeout": 60, **dict.fromkeys(POSTGRES[:2], 0)}, True),
        ("postgresql", {"transaction_timeout": 61, **dict.fromkeys(POSTGRES[:2], 0)}, False),
        ("mysql", {"wait_timeout": 60}, True),  # MySQL, which has no limit for statements
        ("mysql", {"wait_timeout": 28800}, False),
        ("mysql", {"wait_timeout": 28800, "idle_transaction_timeout": 9}, True),
        ("mysql", {}, False),
    ],
    ids=str,
)
def test_any_way_to_limit_transactions_is_enough(
    vendor: str, values: dict[str, float], *, expected: bool
) -> None:
    assert _is_limited(LIMITS[vendor], values, 60.0) is expected


@pytest.mark.parametrize("databases", [None, [], ["events"]], ids=str)
@pytest.mark.usefixtures("references")
def test_only_the_databases_that_are_checked_are_asked(databases: list[str] | None) -> None:
    assert messages(databases) == []


@pytest.mark.usefixtures("postgres_servers")
def test_a_database_that_cannot_be_reached_is_passed_over(
    references: ReferenceCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert references.aliases() == ["default"]
    connections.close_all()
    with monkeypatch.context() as patch:
        patch.setitem(connections["default"].settings_dict, "PORT", 1)
        found = messages(["default"])

    assert found == []


def test_a_database_without_such_limits_is_passed_over(references: ReferenceCache) -> None:
    references.register("testapp.Customer", ["name"], name="embedded", using="sqlite")
    assert "sqlite" in references.aliases()

    assert messages(["sqlite"]) == []


@pytest.mark.django_db(transaction=True, databases=["default", "mariadb"])
@pytest.mark.parametrize(
    ("limits", "is_warned"),
    [
        ({}, True),
        ({"idle_write_transaction_timeout": 60, "max_statement_time": 60}, False),
        ({"wait_timeout": 30, "max_statement_time": 0.5}, False),
        ({"wait_timeout": 30}, True),
        ({"wait_timeout": 61, "max_statement_time": 61}, True),
    ],
    ids=str,
)
def test_w005_on_mariadb(
    references: ReferenceCache, limits: dict[str, float], *, is_warned: bool
) -> None:
    references.register("testapp.Customer", ["name"], name="other", using="mariadb")
    with connections["mariadb"].cursor() as cursor:
        for name, value in limits.items():
            cursor.execute(f"SET SESSION {name} = {value}")

    found = messages(["mariadb"])
    connections["mariadb"].close()

    assert [each[:26] for each in found] == ["refcache.W005: On 'mariadb"] * is_warned


# Eviction


@pytest.fixture
def evicting(
    new_redis: Callable[..., RedisServer], settings: Any
) -> Callable[..., list[str | None]]:
    """The ids of what is found when the server of the alias has these options."""

    def check(*options: str) -> list[str | None]:
        server = new_redis(*options)
        alias = settings.CACHES["default"] | {"LOCATION": server.url}
        settings.CACHES = {"default": alias}
        return [each.id for each in check_eviction(databases=ALIASES)]

    return check


@pytest.mark.parametrize("policy", ["volatile-ttl", "volatile-random", "allkeys-random"])
def test_w006_policies_that_may_drop_markers(
    evicting: Callable[..., list[str | None]], policy: str
) -> None:
    full = ("--maxmemory", "100mb", "--maxmemory-policy", policy)

    assert evicting(*full) == ["refcache.W006"]
    assert check_eviction(databases=None) == []
    assert evicting("--maxmemory-policy", policy) == []


@pytest.mark.parametrize("policy", ["noeviction", "allkeys-lru", "volatile-lfu"])
def test_policies_that_spare_what_is_young_are_in_order(
    evicting: Callable[..., list[str | None]], policy: str
) -> None:
    assert evicting("--maxmemory", "100mb", "--maxmemory-policy", policy) == []


@pytest.mark.parametrize(
    "alias",
    [
        {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "redis://127.0.0.1:1"},
        {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "nonsense"},
        {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    ],
    ids=["unreachable", "no URL", "no Redis"],
)
def test_a_redis_that_cannot_be_asked_is_passed_over(settings: Any, alias: dict[str, Any]) -> None:
    settings.CACHES = {"default": alias}

    assert check_eviction(databases=ALIASES) == []


def test_djangos_command_runs_them(
    references: ReferenceCache, capsys: pytest.CaptureFixture[str]
) -> None:
    assert references.aliases() == ["default"]
    call_command("check", fail_level="CRITICAL")
    assert "W005" not in capsys.readouterr().err

    call_command("check", fail_level="CRITICAL", databases=["default"])

    assert "refcache.W005" in capsys.readouterr().err
