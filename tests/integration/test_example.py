"""The example as its reader meets it: its own tests, and the demo from an empty folder."""

import os
import re
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from sqlite3 import connect

import pytest

from tests.conftest import PostgresServers
from tests.servers.redis_server import RedisServer

EXAMPLE = Path(__file__).parents[2] / "example"
COUNTS = {
    "naive": (1, 200, 0),
    "whole tables in context": (1, 2, 0),
    "page's rows in context": (1, 2, 0),
    "refcache, warm": (1, 0, 1),
}
# For a loaded machine; none of the runs takes more than a few seconds on an idle one.
LIMIT = 120.0


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """A copy without the databases of whoever works here."""
    return shutil.copytree(
        EXAMPLE, tmp_path / "example", ignore=shutil.ignore_patterns("var", "__pycache__")
    )


def test_own_tests_pass(example: Path) -> None:
    run(example, "manage.py", "test", "orders", "shop")


def test_migrations_are_complete(example: Path) -> None:
    run(example, "manage.py", "makemigrations", "--check", "--dry-run")


def test_demo_needs_no_server(example: Path) -> None:
    output = demo(example)
    assert counts(output).items() >= COUNTS.items()
    assert "A: sqlite, B: sqlite, Redis: embedded (fakeredis)" in output


def test_cold_page_asks_once_for_each_reference(example: Path) -> None:
    to_events, to_customers, _ = counts(demo(example))["refcache, cold"]
    assert (to_events, to_customers) == (1, 2)


def test_demo_is_quiet_without_a_terminal(example: Path) -> None:
    assert demo(example).splitlines()[0].strip() == "One page of 100 orders"


def test_demo_makes_its_data_once(example: Path) -> None:
    demo(example, "--data-only")
    demo(example, "--data-only", "--customers=5", "--events=5")
    with closing(connect(example / "var" / "customers.sqlite3")) as database:
        assert database.execute("SELECT count(*) FROM customers_customer").fetchone() == (300,)


def test_demo_runs_on_real_servers(
    example: Path, postgres_servers: PostgresServers, redis_server: RedisServer
) -> None:
    output = demo(
        example,
        DATABASE_URL=postgres_servers.application.url,
        EVENTS_DATABASE_URL=postgres_servers.events.url,
        REDIS_URL=redis_server.url,
    )
    assert counts(output).items() >= COUNTS.items()
    assert "A: postgresql, B: postgresql, Redis: a server" in output


def demo(example: Path, *options: str, **environment: str) -> str:
    """Run the demo on a few rows."""
    few = ("--customers=300", "--events=150", "--runs=1")
    return run(example, "demo.py", *few, *options, **environment)


def run(example: Path, script: str, *options: str, **environment: str) -> str:
    """Run a script of the example in a process of its own, and give what it printed."""
    result = subprocess.run(
        [sys.executable, "-W", "error", script, *options],
        cwd=example,
        env=clean_environment() | environment,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def clean_environment() -> dict[str, str]:
    """Give this process's environment, without what would change the example's settings."""
    foreign = {"DJANGO_SETTINGS_MODULE", "DATABASE_URL", "EVENTS_DATABASE_URL", "REDIS_URL"}
    return {name: value for name, value in os.environ.items() if name not in foreign}


def counts(output: str) -> dict[str, tuple[int, int, int]]:
    """Read the three counts of each row of the demo's table."""
    rows = re.findall(r"^│ (.+?) +│ +(\d+) │ +(\d+) │ +(\d+) │", output, re.MULTILINE)
    return {title: (int(a), int(b), int(redis)) for title, a, b, redis in rows}
