"""That `make bench` runs; what it measures is nobody's to assert."""

import os
import re
import subprocess
import sys
from pathlib import Path

import redis

from tests.conftest import PostgresServers
from tests.servers.redis_server import RedisServer

ROOT = Path(__file__).parents[1]
LIMIT = 120.0  # seconds; for a loaded machine


def measure(redis_server: RedisServer, postgres_folder: Path) -> str:
    """What it prints; the folder is the one of its database's programs, if there are any."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "benchmarks", "--rounds", "2"],
        cwd=ROOT,
        env=os.environ | {"REDIS_URL": redis_server.url, "REFCACHE_PG_BIN": str(postgres_folder)},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_measures_and_leaves_nothing_behind(redis_server: RedisServer, tmp_path: Path) -> None:
    printed = measure(redis_server, tmp_path)

    assert "refcache : bare MGET" in printed
    assert "refcache: get_many of 100 cold keys" in printed
    assert "in_bulk of 100 keys (sqlite)" in printed
    assert "lag is measured on PostgreSQL only" in printed
    with redis.Redis.from_url(redis_server.url) as client:
        assert list(client.scan_iter(match="bench-*")) == []


def test_on_postgresql_it_measures_the_relays_lag_as_well(
    redis_server: RedisServer, postgres_servers: PostgresServers
) -> None:
    # It starts a server of its own, from the same programs.
    program = postgres_servers.application.process.program

    printed = measure(redis_server, program.path.parent)

    assert "in_bulk of 100 keys (postgresql)" in printed
    # The difference of two short measurements, which may be below nothing on a busy machine.
    assert re.search(r"^look at a SELECT: -?\d+\.\d+ µs", printed, re.MULTILINE)
    assert re.search(r"^relay: lag .*: median \d+\.\d+ ms", printed, re.MULTILINE)
    with redis.Redis.from_url(redis_server.url) as client:
        assert list(client.scan_iter(match="bench-*")) == []
