"""What an import costs: no setting read, no model loaded, no extra needed."""

import subprocess
import sys

import pytest

EXTRAS = ["django_filters", "drf_spectacular", "hiredis", "rest_framework", "rich", "strawberry"]


@pytest.mark.parametrize(
    ("package", "unwanted"),
    [
        ("refcache.core", {"django", "django_redis", "redis"}),
        ("refcache.tiers", {"django", "django_redis"}),
        ("refcache.sql.statements", {"django", "redis"}),
        ("refcache", {"django.db.models", "django.contrib.contenttypes", *EXTRAS}),
    ],
)
def test_an_import_loads_nothing_that_it_need_not(package: str, unwanted: set[str]) -> None:
    loaded = run(f"import sys, {package}; print(*sys.modules)")

    assert unwanted.isdisjoint(loaded)


def test_the_package_reads_no_setting() -> None:
    answer = run("import refcache; from django.conf import settings; print(settings.configured)")

    assert answer == ["False"]


def test_everything_but_the_edges_can_be_imported_without_extras() -> None:
    code = f"""
import importlib, pkgutil, sys
sys.modules.update(dict.fromkeys({EXTRAS}))
import django, refcache
from django.conf import settings
settings.configure(INSTALLED_APPS=["refcache"])
django.setup()
for module in pkgutil.walk_packages(refcache.__path__, "refcache."):
    if not module.name.startswith(("refcache.contrib", "refcache.rest_framework")):
        importlib.import_module(module.name)
"""

    run(code)


def run(code: str) -> list[str]:
    """Return the words that a fresh interpreter prints, in which a warning is an error."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout.split()
