"""The soak (`make soak`): no read contradicts a commit, and a run without a guard finds some."""

import subprocess
import sys

import pytest

LIMIT = 180.0  # seconds, for a loaded machine
SERVERS = {"default": "postgres_servers", "mariadb": "mariadb_server", "sqlite": "redis_server"}


@pytest.mark.parametrize(("database", "seconds"), [("default", 20), ("mariadb", 5), ("sqlite", 5)])
def test_no_read_contradicts_a_commit(
    request: pytest.FixtureRequest, database: str, seconds: int
) -> None:
    # The run has servers of its own; this says where their programs are missing.
    request.getfixturevalue(SERVERS[database])

    process = soak("--seed=7", f"--seconds={seconds}", f"--database={database}")

    assert process.stdout.count(" 0 violations\n") == 1
    assert process.returncode == 0, process.stdout


@pytest.mark.parametrize(
    ("guard", "trouble"), [("marks", "value"), ("sql", "value"), ("lists", "list")]
)
@pytest.mark.usefixtures("postgres_servers", "redis_server")
def test_a_missing_guard_is_found(guard: str, trouble: str) -> None:
    """Within the seconds of a whole run; it ends as soon as it has found some."""
    process = soak("--seed=7", "--seconds=20", f"--without={guard}")

    assert f" violations: stale {trouble}\n" in process.stdout
    assert " violations: crash\n" not in process.stdout
    assert process.returncode == 1


def soak(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "tests.soak", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        timeout=LIMIT,
        check=False,
    )
