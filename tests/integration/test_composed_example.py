"""docker-compose.yml: parsed, and held against what `make example-real` runs.

There is no Docker here; but the scripts that it mounts are run on real servers.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from tests.conftest import PostgresServers, missing
from tests.integration.watching import LIMIT
from tests.real.programs import GUNICORN, PREPARE, RELAY
from tests.real.servers import REDIS_OPTIONS
from tests.servers.addresses import free_port
from tests.servers.bed import Bed
from tests.servers.postgres_replica import PostgresReplica
from tests.servers.postgres_server import SETTINGS, PostgresServer
from tests.servers.process import wait_until
from tools.servers import ROOT, Program

EXAMPLE = ROOT / "example" / "real"


@pytest.fixture(scope="module")
def services() -> Any:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]


def test_composed_redis_has_the_options_of_the_run(services: Any) -> None:
    program, *options = services["redis"]["command"]
    own = {"save": "", "appendonly": "no"}  # as each Redis of the tests has them

    assert program == "redis-server"
    pairs = zip(options[::2], options[1::2], strict=True)
    assert {name.removeprefix("--"): value for name, value in pairs} == REDIS_OPTIONS | own


def test_composed_programs_are_those_of_the_run(services: Any) -> None:
    python = ["python", "-m"]
    web = [*python, "gunicorn", "real.wsgi", "--bind=0.0.0.0:8000", *GUNICORN]

    assert services["prepare"]["command"] == [*python, *PREPARE]
    assert services["relay"]["command"] == [*python, *RELAY]
    assert services["web-1"]["command"] == services["web-2"]["command"] == web
    assert services["web-1"]["ports"] != services["web-2"]["ports"]


def test_composed_programs_find_composed_servers(services: Any) -> None:
    servers = {"DATABASE_URL": "application", "REPLICA_URL": "replica"} | {
        "EVENTS_DATABASE_URL": "events",
        "REDIS_URL": "redis",
    }
    for name in ("prepare", "relay", "web-1", "web-2"):
        environ = services[name]["environment"]
        assert environ["PROGRAM"] == name
        for variable, server in servers.items():
            assert re.search(rf"//(refcache:refcache@)?{server}:", environ[variable])
            assert server in services


def test_composed_programs_wait_for_what_they_need(services: Any) -> None:
    healthy = {"condition": "service_healthy"}
    servers = {"redis", "application", "replica", "events"}

    assert services["prepare"]["depends_on"] == dict.fromkeys(sorted(servers), healthy)
    for name in ("relay", "web-1", "web-2"):
        done = {"prepare": {"condition": "service_completed_successfully"}}
        assert services[name]["depends_on"] == done
    has_health = {name for name, each in services.items() if "healthcheck" in each}
    assert has_health == servers | {"web-1", "web-2"}


def test_composed_files_exist(services: Any) -> None:
    mounted = [volume for each in services.values() for volume in each.get("volumes", [])]
    files = [volume.partition(":")[0] for volume in mounted if volume.startswith("./")]

    assert len(files) == 2
    assert all(os.access(ROOT / file, os.X_OK) for file in files)
    assert (ROOT / services["web-1"]["build"]["dockerfile"]).exists()


def test_the_primarys_script_lets_the_replica_in(
    postgres_servers: PostgresServers, tmp_path: Path
) -> None:
    server = postgres_servers.application
    rules = tmp_path / "pg_hba.conf"
    environ = {"POSTGRES_USER": "refcache", "POSTGRES_DB": "postgres", "PGDATA": str(tmp_path)}
    if not shutil.which("psql", path=path_of(server.process.program)):
        missing("psql")
    with psycopg.connect(server.url, autocommit=True) as connection:
        try:
            subprocess.run(
                [EXAMPLE / "primary.sh"],
                env=at(server.port) | environ | {"PATH": path_of(server.process.program)},
                check=True,
            )

            may = "SELECT rolreplication, rolsuper FROM pg_roles WHERE rolname = 'replicator'"
            assert connection.execute(may).fetchone() == (True, False)
        finally:
            connection.execute("DROP ROLE IF EXISTS replicator")
    assert rules.read_text() == "host replication replicator all scram-sha-256\n"


def test_the_replicas_script_makes_a_replica(
    postgres_servers: PostgresServers, bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    primary = postgres_servers.application
    folder = bed.folder / f"composed-{(port := free_port())}"
    replica = ScriptedReplica(primary, folder, port)
    environ = at(primary.port) | {"PGUSER": "refcache", "PATH": path_of(primary.process.program)}
    for name, value in (environ | {"PGDATA": str(folder / "data")}).items():
        monkeypatch.setenv(name, value)
    try:
        for _ in range(2):  # A second start finds the copy.
            replica.start()
            wait_until(replica.is_streaming, LIMIT)
            replica.stop()
    finally:
        replica.kill()


class ScriptedReplica(PostgresReplica):
    """Is made and run by the script of docker-compose.yml, all but its address."""

    def __init__(self, primary: PostgresServer, folder: Path, port: int) -> None:
        super().__init__(primary, folder, port)
        # Where another user may read it.
        script = shutil.copy(EXAMPLE / "replica.sh", folder)
        self.process.program = Program(Path(script), primary.process.program.libraries)
        # As in a volume that the image has made.
        self._data.mkdir()
        shutil.chown(self._data, folder.stat().st_uid, folder.stat().st_gid)
        self._data.chmod(0o777)

    def start(self) -> None:
        settings = SETTINGS | {"port": str(self.port)}
        arguments = [part for name in settings for part in ("-c", f"{name}={settings[name]}")]
        self.process.start(arguments, self._is_ready)

    def is_streaming(self) -> bool:
        asked = "SELECT pg_is_in_recovery(), status FROM pg_stat_wal_receiver"
        with psycopg.connect(self.url) as connection:
            return connection.execute(asked).fetchone() == (True, "streaming")


def at(port: int) -> dict[str, str]:
    return {"PGHOST": "127.0.0.1", "PGPORT": str(port)}


def path_of(program: Program) -> str:
    return os.pathsep.join([str(program.path.parent), os.environ["PATH"]])
