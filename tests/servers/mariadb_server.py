"""A MariaDB server of the tests' own."""

import signal
import socket

from tests.servers.server import Server
from tools.servers import mariadb_scripts

USER = "refcache"

# For an answer from the same machine.
ANSWER_LIMIT = 1.0

# Quicker, and still as strict as ever while the machine itself does not crash: what is
# committed is with the operating system (2), which a killed server does not take along.
SETTINGS = {
    "aria-log-file-size": "8M",
    "bind-address": "127.0.0.1",
    "character-set-server": "utf8mb4",
    # Django tells MariaDB no zone, and has set the process's own.
    "default-time-zone": "+00:00",
    "innodb-buffer-pool-size": "32M",
    "innodb-flush-log-at-trx-commit": "2",
    "innodb-log-file-size": "8M",
    # It listens at its port only.
    "socket": "",
}
FLAGS = ("debug-no-sync", "skip-name-resolve")

# The end of a line is the end of a statement here. The account tables are read when the server
# starts, at which time they were missing.
ACCOUNT = f"""
FLUSH PRIVILEGES;
CREATE USER {USER}@'127.0.0.1';
GRANT ALL ON *.* TO {USER}@'127.0.0.1' WITH GRANT OPTION;
"""


class MariadbServer(Server):
    """A server on a port of its own; any local user may enter as *USER*."""

    @property
    def url(self) -> str:
        """The URL of the database that every server has."""
        return f"mysql://{USER}@127.0.0.1:{self.port}/mysql"

    def start(self) -> None:
        if not (self.process.folder / "mysql").exists():
            self._create()
        self.process.start([*self._options(), f"--port={self.port}"], self._answers)

    def stop(self) -> None:
        """End it in order; open connections are closed, their transactions rolled back."""
        self.process.end(signal.SIGTERM)

    def _create(self) -> None:
        # As mariadb-install-db does, which finds neither program nor scripts where a package
        # has only been unpacked.
        script = self.process.folder / "create.sql"
        tables = mariadb_scripts(self.process.program.path)[0].read_text()
        script.write_text(f"CREATE DATABASE mysql;\nUSE mysql;\n{tables}{ACCOUNT}")
        self.process.run(
            self.process.program.path.name, *self._options(), "--bootstrap", told=script
        )

    def _options(self) -> list[str]:
        settings = [f"--{name}={value}" for name, value in SETTINGS.items()]
        flags = [f"--{name}" for name in FLAGS]
        places = [
            f"--basedir={self.process.program.path.parent.parent}",
            f"--datadir={self.process.folder}",
        ]
        # Not the machine's own defaults; that has to be said first.
        return ["--no-defaults", *places, *settings, *flags]

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), ANSWER_LIMIT) as connection:
                # A packet's header, and the version of the protocol, which begins a greeting;
                # an error would begin with 255.
                return connection.recv(5)[4:] == b"\x0a"
        except OSError:
            return False
