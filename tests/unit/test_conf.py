"""The settings: what REFCACHE may hold, and what is said of anything else."""

from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.core.exceptions import ImproperlyConfigured

from refcache.conf import DEFAULTS, Conf, conf


def test_every_setting_has_a_default(settings: Any) -> None:
    settings.REFCACHE = {}
    assert conf() == Conf()

    del settings.REFCACHE
    assert conf() == Conf()


def test_settings_are_read_once_and_anew_when_they_change(settings: Any) -> None:
    settings.REFCACHE = {"TIMEOUT": 0.5}
    assert conf() is conf()

    settings.REFCACHE = {"TIMEOUT": 0.7}

    assert conf().timeout == 0.7


def test_what_is_given_stands_beside_the_defaults(settings: Any) -> None:
    settings.REFCACHE = {
        "TIMEOUT": timedelta(milliseconds=250),
        "LEASE_WAIT": 2,
        "MAX_CONNECTIONS": 5,
        "JITTER": 0,
        "PER_ROW": "count",
        "STRICT": True,
        "BULK_LIMIT": 7,
    }

    assert conf() == Conf(
        timeout=0.25,
        lease_wait=2.0,
        max_connections=5,
        jitter=0,
        per_row="count",
        strict=True,
        bulk_limit=7,
    )
    assert type(conf().lease_wait) is float


def test_no_limit_and_none_are_settings_too(settings: Any) -> None:
    settings.REFCACHE = {
        "SOFT_TIMEOUT": None,
        "LOAD_TIMEOUT": timedelta(seconds=2),
        "EARLY_REFRESH": 0,
        "EXECUTOR": None,
        "COPIES": 0,
    }

    assert conf() == Conf(load_timeout=2.0, early_refresh=0.0, copies=0)
    assert conf().refresh_elsewhere is None


def test_an_executor_is_imported_when_it_is_needed(settings: Any) -> None:
    settings.REFCACHE = {"EXECUTOR": f"{__name__}.refresh"}

    assert conf().refresh_elsewhere is refresh


def refresh(keys: dict[str, list[Any]], within: float) -> None:
    """Does what an executor would."""


@pytest.mark.parametrize("path", ["nowhere.refresh", f"{__name__}.nothing", f"{__name__}.__doc__"])
def test_an_executor_that_cannot_be_called_is_an_error(settings: Any, path: str) -> None:
    settings.REFCACHE = {"EXECUTOR": path}

    with pytest.raises(ImproperlyConfigured, match=f"'EXECUTOR'.*{path!r}, which "):
        _ = conf().refresh_elsewhere


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("TIMEOUTS", "TIMEOUT"),
        ("timeout", "TIMEOUT"),
        ("CHUNKSIZE", "CHUNK_SIZE"),
        ("LEASE_TIME_OUT", "LEASE_TIMEOUT"),
    ],
)
def test_an_unknown_setting_is_an_error_that_names_the_nearest(
    settings: Any, name: str, nearest: str
) -> None:
    settings.REFCACHE = {name: 1}

    with pytest.raises(ImproperlyConfigured, match=rf"no setting '{name}' .*mean '{nearest}'\?"):
        conf()


@pytest.mark.parametrize("name", ["XYZ", 7, None])
def test_where_nothing_is_near_all_are_named(settings: Any, name: object) -> None:
    settings.REFCACHE = {name: 1}

    with pytest.raises(ImproperlyConfigured) as caught:
        conf()

    assert all(known.upper() in str(caught.value) for known in DEFAULTS)
    assert "mean" not in str(caught.value)


@pytest.mark.parametrize("given", [None, [], "TIMEOUT"])
def test_the_settings_are_a_dictionary(settings: Any, given: object) -> None:
    settings.REFCACHE = given

    with pytest.raises(ImproperlyConfigured, match="must be a dictionary"):
        conf()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("TIMEOUT", value) for value in (0, -1, "one", None, True, float("inf"), float("nan"))),
        ("CONNECT_TIMEOUT", 0),
        ("LEASE_TIMEOUT", 0),
        ("LEASE_WAIT", timedelta(-1)),
        ("WRITE_TIMEOUT", -1),
        *(("CHUNK_SIZE", value) for value in (0, -1, 1.5, "one", True)),
        ("MAX_CONNECTIONS", 0),
        *(("BULK_LIMIT", value) for value in (0, -1, 1.5, None, True)),
        *(("STRICT", value) for value in (None, 1, "yes")),
        *(("JITTER", value) for value in (-0.1, 1, "0.1", None)),
        *(("CACHE", value) for value in ("nope", None, ["default"])),
        *(("PER_ROW", value) for value in ("maybe", True, ["raise"])),
        *(("BREAKER_FAILURES", value) for value in (0, 1.5, None, True)),
        *(("BREAKER_PAUSE", value) for value in (0, -1, None)),
        *(("SOFT_TIMEOUT", value) for value in (0, -1, "one", False)),
        *(("LOAD_TIMEOUT", value) for value in (0, -1, "one", False)),
        ("LOAD_THREADS", 0),
        ("REFRESH_THREADS", 0),
        *(
            ("EARLY_REFRESH", value)
            for value in (-0.1, 100.5, "1", None, True, float("inf"), float("nan"))
        ),
        *(("EXECUTOR", value) for value in ("refresh", 7, ["mysite.tasks.refresh"], "")),
        *(("COPIES", value) for value in (-1, 1.5, None, False)),
    ],
)
def test_a_value_that_cannot_work_is_an_error_that_names_it(
    settings: Any, name: str, value: object
) -> None:
    settings.REFCACHE = {name: value}

    with pytest.raises(ImproperlyConfigured) as caught:
        conf()

    assert f"REFCACHE['{name}']" in str(caught.value)
    assert repr(value) in str(caught.value)


def test_an_unknown_alias_is_named_with_those_that_are_known(settings: Any) -> None:
    settings.REFCACHE = {"CACHE": "redis"}

    with pytest.raises(ImproperlyConfigured, match=r"'redis'.*known: default"):
        conf()


def test_per_row_lookups_raise_while_a_project_is_tried_out(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.REFCACHE = {}
    assert conf().raises_per_row  # under a test runner

    monkeypatch.delattr(mail, "outbox")
    settings.DEBUG = False
    assert not conf().raises_per_row

    settings.DEBUG = True
    assert conf().raises_per_row


@pytest.mark.parametrize(("policy", "expected"), [("raise", True), ("count", False)])
def test_a_declared_policy_holds_everywhere(settings: Any, policy: str, *, expected: bool) -> None:
    settings.REFCACHE = {"PER_ROW": policy}
    for debug in (True, False):
        settings.DEBUG = debug
        assert conf().raises_per_row is expected
