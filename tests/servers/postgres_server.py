"""A PostgreSQL server of the tests' own."""

import signal
from pathlib import Path

from tests.servers.server import Server
from tools.servers import Program

USER = "refcache"

# Quicker, and still as strict as ever while the machine itself does not crash.
# synchronous_commit stays on: without it, a killed server loses what it has acknowledged.
SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "jit": "off",
    "listen_addresses": "127.0.0.1",
    # None by default, and some applications prepare theirs.
    "max_prepared_transactions": "5",
    "unix_socket_directories": "",
}


class PostgresServer(Server):
    """A cluster on a port of its own; any local user may enter as *USER*."""

    def __init__(self, program: Program, folder: Path, port: int) -> None:
        super().__init__(program, folder, port)
        self._data = folder / "data"

    @property
    def url(self) -> str:
        """The URL of the database that every cluster has."""
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        if not self._data.exists():
            self._create()
        settings = {**SETTINGS, "port": str(self.port)}
        options = [part for name in settings for part in ("-c", f"{name}={settings[name]}")]
        self.process.start(["-D", str(self._data), *options], self._is_ready)

    def stop(self) -> None:
        """End it in order; open connections are closed, their transactions rolled back."""
        self.process.end(signal.SIGINT)

    def _create(self) -> None:
        data = str(self._data)
        trusting = ["--auth=trust", f"--username={USER}"]
        self.process.run(
            "initdb", f"--pgdata={data}", "--encoding=UTF8", "--locale=C", "--no-sync", *trusting
        )

    def _is_ready(self) -> bool:
        # As pg_ctl does: the first line is the process's id, the eighth its state. A file
        # that is just being written has fewer.
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        started_here = lines[:1] == [str(self.process.pid)]
        return started_here and "".join(lines[7:]).strip() == "ready"
