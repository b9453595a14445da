"""That `make bench ARGS=patterns` runs; what it measures is nobody's to assert."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.conftest import PostgresServers
from tests.integration.patterns.test_costs import COSTS
from tests.integration.test_example import clean_environment
from tests.servers.redis_server import RedisServer

ROOT = Path(__file__).parents[1]
LIMIT = 600.0  # seconds; for a loaded machine


def test_it_prints_a_line_for_each_pattern(
    postgres_servers: PostgresServers, redis_server: RedisServer
) -> None:
    # It starts servers of its own, from the same programs.
    folder = postgres_servers.application.process.program.path.parent
    assert redis_server.process.is_running
    options = ("--rounds", "1", "--customers", "30", "60", "--markdown")

    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "benchmarks", "patterns", *options],
        cwd=ROOT,
        env=clean_environment() | {"REFCACHE_PG_BIN": os.fspath(folder)},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    lines = re.findall(r"^\| `([\w-]+)` \|", done.stdout, re.MULTILINE)
    assert sorted(lines) == sorted(COSTS)
    assert "60: naive = 1" in done.stdout
