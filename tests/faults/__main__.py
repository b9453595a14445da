"""`python -m tests.faults`: play all faults with the strict bounds, and print what came of it."""

import os
import sys
from importlib import import_module
from pathlib import Path

from tests.faults.options import Options, parse
from tests.servers.addresses import free_port
from tests.servers.bed import Bed
from tests.servers.postgres_server import PostgresServer
from tools.servers import find_postgres, find_redis


def main() -> int:
    """The exit status."""
    # Here and in the processes that are started.
    os.environ["REFCACHE_FAULTS_STRICT"] = "1"
    options = parse()
    program = find_postgres()
    if not program or not find_redis():
        raise SystemExit("PostgreSQL or redis-server was not found: `make test` gets them.")
    with Bed() as bed:
        postgres = PostgresServer(program, bed.folder / "postgres", free_port())
        postgres.start()
        try:
            return 1 if _play_all(options, bed.folder, postgres) else 0
        finally:
            postgres.kill()


def _play_all(options: Options, folder: Path, postgres: PostgresServer) -> int:
    """How many faults have violated their promises."""
    # Its bounds depend on the environment.
    playing = import_module("tests.faults.played")
    wanted = [each for each in playing.plays(options, folder, postgres) if options.only in each[0]]
    broken = 0
    _print(playing.HEAD)
    for place, (name, play) in enumerate(wanted, 1):
        _progress(f"{place}/{len(wanted)} {name}")
        found = playing.played(name, play)
        _print(found.line)
        for each in found.violations:
            _print(f"    seed {options.seed}: {each}")
        broken += bool(found.violations)
    _print(f"{len(wanted) - broken} of {len(wanted)} kept their promises")
    return broken


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _progress(line: str) -> None:
    end = "\r" if sys.stderr.isatty() else "\n"
    sys.stderr.write(f"{line:<78}{end}")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
