"""The system checks: one id each, and a heading for each in the docs."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.core.checks.registry import registry

from refcache import ReferenceCache

ROOT = Path(__file__).parents[2]
MODULES = ("checks.py", "server_checks.py", "reference_checks.py", "routing/checks.py")
CHECKS = [ROOT / "refcache" / name for name in MODULES]
TESTS = [
    Path(__file__),
    ROOT / "tests" / "integration" / "test_server_checks.py",
    *(ROOT / "tests" / folder / "test_checks.py" for folder in ("relations", "routing")),
]
HEADINGS = ROOT / "docs" / "checks.md"


def named(pattern: str, files: list[Path]) -> set[str]:
    return {found for file in files for found in re.findall(pattern, file.read_text())}


IDS = sorted(named(r"refcache\.[EW]\d{3}", CHECKS))


@pytest.fixture
def references(monkeypatch: pytest.MonkeyPatch) -> ReferenceCache:
    """What the checks look at, in place of the project's own references."""
    references = ReferenceCache()
    monkeypatch.setattr("refcache.checks.references", references)
    return references


def found() -> list[str]:
    """What the registered checks say; Django's own, some of which ask a database, left out."""
    mine = [each for each in registry.get_checks() if each.__module__ == "refcache.checks"]
    assert mine
    return [
        f"{each.id}: {each.msg}"
        for check in mine
        for each in check(app_configs=None, databases=None)
    ]


def test_a_project_in_order_has_no_messages(references: ReferenceCache) -> None:
    references.register("testapp.Customer", ["name", "company__name"], name="customer")

    assert found() == []


def test_the_tests_own_references_are_in_order() -> None:
    assert found() == []


def test_e001_settings_that_cannot_work(references: ReferenceCache, settings: Any) -> None:
    references.register("testapp.Customer", ["nope"])
    settings.REFCACHE = {"TIMEOUTS": 1}

    (message,) = found()

    assert message.startswith("refcache.E001: REFCACHE has no setting 'TIMEOUTS'")


@pytest.mark.parametrize(
    "alias",
    [
        {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": "unused"},
        {"BACKEND": "nowhere.Cache"},
        {"BACKEND": "django_redis.cache.RedisCache"},
        {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "localhost:6379"},
        {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": "redis://localhost",
            "OPTIONS": {"CONNECTION_POOL_CLASS": "nowhere.Pool"},
        },
        {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": "redis://localhost",
            "KEY_FUNCTION": f"{__name__}.reversing",
        },
        *(
            {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": location, "OPTIONS": options}
            for location, options in [
                ("redis://localhost?socket_timeouts=5", {}),
                ("unix:///socket?port=5", {}),
                ("redis://localhost", {"CONNECTION_POOL_KWARGS": {"timeout": 5}}),
                ("redis://localhost", {"CONNECTION_POOL_KWARGS": {"protocol": 7}}),
            ]
        ),
    ],
    ids=[
        *("other", "unknown", "nowhere", "url", "pool", "key-function"),
        *("query", "socket", "kwargs", "protocol"),
    ],
)
@pytest.mark.usefixtures("references")
def test_e002_an_alias_that_cannot_serve(settings: Any, alias: dict[str, Any]) -> None:
    settings.CACHES = {"default": alias}

    (message,) = found()

    assert message.startswith("refcache.E002: ")


def reversing(key: str, prefix: str, version: int) -> str:
    return f"{key}:{prefix}:{version}"


@pytest.mark.parametrize("executor", ["nowhere.task", f"{__name__}.nothing", f"{__name__}.ROOT"])
@pytest.mark.usefixtures("references")
def test_an_executor_that_cannot_be_called_is_told_before_it_is_needed(
    settings: Any, executor: str
) -> None:
    settings.REFCACHE = {"EXECUTOR": executor}

    (message,) = found()

    assert message.startswith(f"refcache.E001: REFCACHE['EXECUTOR'] names {executor!r}, which ")


@pytest.mark.usefixtures("references")
def test_an_option_that_connections_do_not_take_is_named(settings: Any) -> None:
    alias = settings.CACHES["default"]
    settings.CACHES = {"default": alias | {"LOCATION": "redis://localhost?socket_timeouts=5"}}

    (message,) = found()

    assert "do not take: look at the query of its LOCATION" in message
    assert "'socket_timeouts'" in message


@pytest.mark.parametrize("backend", ["locmem.LocMemCache", "dummy.DummyCache"])
@pytest.mark.usefixtures("references")
def test_w001_an_alias_that_serves_this_process_only(settings: Any, backend: str) -> None:
    settings.CACHES = {"default": {"BACKEND": f"django.core.cache.backends.{backend}"}}

    (message,) = found()

    assert message.startswith("refcache.W001: REFCACHE['CACHE'] names 'default', which is no Redis")


def with_tenant(key: str, prefix: str, version: int) -> str:
    return f"{prefix}:tenant:{version}:{key}"


@pytest.mark.usefixtures("references")
def test_w002_an_alias_whose_keys_may_vary(settings: Any) -> None:
    alias = settings.CACHES["default"] | {"KEY_FUNCTION": f"{__name__}.with_tenant"}
    settings.CACHES = {"default": alias}

    (message,) = found()

    assert message.startswith("refcache.W002: CACHES['default'] has a KEY_FUNCTION of its own")


def test_w003_statements_that_are_not_looked_at(references: ReferenceCache) -> None:
    references.register("testapp.Customer", ["name"], name="customer", watch_sql=False)
    references.register("testapp.Customer", ["name"], name="other")

    (message,) = found()

    assert message.startswith("refcache.W003: Reference 'customer' has watch_sql=False")


REDIS = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "redis://localhost/0"}
KWARGS = "CONNECTION_POOL_KWARGS"


@pytest.mark.parametrize(
    "alias",
    [
        {"OPTIONS": {"SOCKET_TIMEOUT": 5}},
        {"OPTIONS": {KWARGS: {"socket_timeout": 5}}},
        {"LOCATION": "redis://localhost/0?socket_timeout=5"},
        {"LOCATION": ["redis://localhost/0", "redis://localhost/0?socket_timeout=5"]},
    ],
    ids=["options", "kwargs", "query", "replica"],
)
@pytest.mark.usefixtures("references")
def test_w004_a_timeout_that_is_not_refcaches(settings: Any, alias: dict[str, Any]) -> None:
    settings.CACHES = {"default": REDIS | alias}
    settings.REFCACHE = {"CONNECT_TIMEOUT": 1}

    (message,) = found()

    assert message.startswith("refcache.W004: CACHES['default'] sets socket_timeout, which hold")
    settings.REFCACHE = {"TIMEOUT": 1}
    assert found() == []


@pytest.mark.usefixtures("references")
def test_all_limits_that_are_not_refcaches_are_told_at_once(settings: Any) -> None:
    options = {"SOCKET_CONNECT_TIMEOUT": 5, KWARGS: {"max_connections": 5, "client_name": "x"}}
    settings.CACHES = {"default": REDIS | {"OPTIONS": options}}
    settings.REFCACHE = {}

    (message,) = found()

    assert "sets socket_connect_timeout, max_connections, which" in message


@pytest.mark.parametrize(
    "location", ["redis://localhost/0", ["redis://replica", REDIS["LOCATION"]]]
)
@pytest.mark.usefixtures("references")
def test_w004_a_pool_that_is_right_for_one_of_two_aliases(settings: Any, location: object) -> None:
    options = {"OPTIONS": {"SOCKET_TIMEOUT": 5}}
    other = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    settings.CACHES = {
        "default": REDIS,
        "other": REDIS | {"LOCATION": location} | options,
        "elsewhere": REDIS | {"LOCATION": "redis://localhost/1"} | options,
        "alike": REDIS | {"KEY_PREFIX": "alike", "TIMEOUT": 5},
        "local": other | {"LOCATION": "redis://localhost/0"},
    }

    (message,) = found()

    assert message.startswith("refcache.W004: CACHES['default'] and CACHES['other'] have an addr")


@pytest.mark.parametrize(
    "wrong",
    [
        {"fields": ["nope"]},
        {"model": "testapp.Nope"},
        {"fields": ["company__nope"]},
        {"fields": ["name__upper"]},
        {"fields": ["by_code"], "model": "testapp.Company"},
        {"fields": ["name", "name"]},
        {"key": "tier"},
        {"key": "nope"},
        {"using": "nope"},
        {"filter": {"company__name": "ACME"}},
        {"filter": {"nope": 1}},
        {"filter": {"name__nope": 1}},
        {"fields": ["pk"], "model": "testapp.Shelf"},
        {"name": "A"},
        {"ttl": 0},
    ],
    ids=str,
)
def test_e003_a_declaration_that_cannot_work(
    references: ReferenceCache, wrong: dict[str, Any]
) -> None:
    references.register(**{"model": "testapp.Customer", "fields": ["name"]} | wrong)

    (message,) = found()

    assert message.startswith("refcache.E003: Reference ")


def test_e004_a_field_that_cannot_be_stored_exactly(references: ReferenceCache) -> None:
    references.register("testapp.Offer", ["words"], name="offer")

    (message,) = found()

    assert message.startswith("refcache.E004: Reference 'offer': testapp.Offer.words cannot be")


def test_e005_a_field_with_a_name_that_means_something_else(references: ReferenceCache) -> None:
    references.register("testapp.Offer", ["key"], name="offer")

    (message,) = found()

    assert message.startswith("refcache.E005: Reference 'offer': ")


def test_e006_the_local_tier_is_not_built_yet(references: ReferenceCache) -> None:
    references.register("testapp.Customer", ["name"], name="customer", local_ttl=5)

    (message,) = found()

    assert message.startswith("refcache.E006")
    assert "local_ttl=5" in message


def test_every_reference_that_cannot_work_is_named(references: ReferenceCache) -> None:
    references.register("testapp.Customer", ["nope"], name="one")
    references.register("testapp.Customer", ["name"], name="two")
    references.register("testapp.Customer", "name", name="three")

    assert sorted(each.split("'")[1] for each in found()) == ["one", "three"]


@pytest.mark.parametrize("check_id", IDS)
def test_every_id_has_a_heading_in_the_docs(check_id: str) -> None:
    assert re.search(rf"^#+ .*{check_id}", HEADINGS.read_text(), re.MULTILINE)


def test_every_id_has_a_test() -> None:
    tested = named(r"def test_([ew]\d{3})_", TESTS)

    assert {f"refcache.{each.upper()}" for each in tested} == set(IDS)
