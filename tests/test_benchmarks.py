"""That `make bench` runs; what it measures is nobody's to assert."""

import os
import subprocess
import sys
from pathlib import Path

import redis

from tests.servers.redis_server import RedisServer

ROOT = Path(__file__).parents[1]
LIMIT = 120.0  # seconds; for a loaded machine


def test_it_measures_and_leaves_nothing_behind(redis_server: RedisServer) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "benchmarks", "--rounds", "2"],
        cwd=ROOT,
        env=os.environ | {"REDIS_URL": redis_server.url},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "refcache : bare MGET" in done.stdout
    assert "refcache: get_many of 100 cold keys" in done.stdout
    with redis.Redis.from_url(redis_server.url) as client:
        assert list(client.scan_iter(match="bench-*")) == []
