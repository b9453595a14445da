"""A streaming replica of a PostgreSQL server of the tests."""

from pathlib import Path

import psycopg

from tests.servers.postgres_server import USER, PostgresServer
from tests.servers.process import START_LIMIT, wait_until


class PostgresReplica(PostgresServer):
    """A hot standby, copied from *primary* at its first start; all of its databases are there.

    Args:
        primary: Runs while this starts, and ends after this.
    """

    def __init__(self, primary: PostgresServer, folder: Path, port: int) -> None:
        super().__init__(primary.process.program, folder, port)
        self._primary = primary

    def pause_replay(self) -> None:
        """Stay at what is visible now; nothing that is committed from now on is."""
        self._ask("SELECT pg_wal_replay_pause()")
        # It is a request, which the replaying process follows when it comes to it.
        wait_until(
            lambda: self._ask("SELECT pg_get_wal_replay_pause_state()") == "paused", START_LIMIT
        )

    def resume_replay(self) -> None:
        self._ask("SELECT pg_wal_replay_resume()")

    def catch_up(self) -> None:
        """Wait until all that is committed now is visible here too."""
        with psycopg.connect(self._primary.url) as connection:
            (position,) = connection.execute("SELECT pg_current_wal_lsn()").fetchone() or ("",)
        caught_up = "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn"
        wait_until(lambda: bool(self._ask(caught_up, position)), START_LIMIT)

    def _ask(self, sql: str, *parameters: object) -> object:
        with psycopg.connect(self.url, autocommit=True) as connection:
            row = connection.execute(sql.encode(), parameters).fetchone()
        return row[0] if row else None

    def _create(self) -> None:
        address = ["--host=127.0.0.1", f"--port={self._primary.port}", f"--username={USER}"]
        quick = ["--checkpoint=fast", "--no-sync", "--no-password"]
        self.process.run(
            "pg_basebackup", f"--pgdata={self._data}", "--write-recovery-conf", *address, *quick
        )
