"""A Redis primary with two replicas, and three sentinels that choose another one when it dies."""

from pathlib import Path

import redis

from tests.servers.addresses import free_port
from tests.servers.process import START_LIMIT, wait_until
from tests.servers.redis_server import ANSWER_LIMIT, RedisServer
from tests.servers.server import Server
from tools.servers import Program

NAME = "town"  # by which sentinels know the primary
QUORUM = 2
DOWN_AFTER_MS = 500
FAILOVER_TIMEOUT_MS = 2_000


class Sentinel(Server):
    """A redis-server that watches others; it answers once it knows the others of its kind.

    Args:
        lines: Of its configuration, beside its own address.
    """

    def __init__(self, program: Program, folder: Path, port: int, lines: list[str]) -> None:
        super().__init__(program, folder, port)
        self._file = folder / "sentinel.conf"
        own = [f"port {port}", "bind 127.0.0.1", f"dir {folder}"]
        self._file.write_text("\n".join([*own, *lines]) + "\n")
        # It notes there what it learns, and may run as another user.
        self._file.chmod(0o666)

    def start(self) -> None:
        self.process.start([str(self._file), "--sentinel"], self._is_complete)

    def stop(self) -> None:
        self.kill()

    def _is_complete(self) -> bool:
        try:
            with redis.Redis(port=self.port, socket_timeout=ANSWER_LIMIT) as client:
                known = client.sentinel_master(NAME)
        except redis.RedisError:
            return False
        return (known["num-slaves"], known["num-other-sentinels"]) == (2, 2)


class RedisGroup:
    """Six processes, each on a port of its own, in folders below *folder*.

    Args:
        program: redis-server, which is the sentinels' program too.
    """

    def __init__(self, program: Program, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        folder.chmod(0o711)
        ports = [free_port() for _ in range(6)]
        # It waits for further replicas otherwise, five seconds.
        first = RedisServer(program, folder / "1", ports[0], "--repl-diskless-sync-delay", "0")
        following = ("--replicaof", "127.0.0.1", str(first.port))
        replicas = [RedisServer(program, folder / f"{n + 1}", ports[n], *following) for n in (1, 2)]
        self.servers = [first, *replicas]
        self.sentinels = [
            Sentinel(program, folder / f"sentinel-{port}", port, _lines(ports, port))
            for port in ports[3:]
        ]

    def start(self) -> None:
        """Start all; both replicas are up to date, and the sentinels know them and each other."""
        for server in self.servers:
            server.start()
        wait_until(lambda: all(map(_is_linked, self.servers[1:])), START_LIMIT)
        for sentinel in self.sentinels:
            sentinel.start()

    def kill(self) -> None:
        """End all with SIGKILL."""
        for server in (*self.sentinels, *self.servers):
            server.kill()

    @property
    def primary(self) -> RedisServer:
        """The server that most of the sentinels name."""
        named = [_named_by(sentinel) for sentinel in self.sentinels]
        port = max(named, key=named.count)
        return next(server for server in self.servers if server.port == port)

    def fail_over(self) -> None:
        """Kill the primary; another one serves when this returns."""
        before = self.primary
        before.kill()
        wait_until(lambda: self.primary is not before and _is_primary(self.primary), START_LIMIT)


def _lines(ports: list[int], own: int) -> list[str]:
    # What they would find out by themselves, within some seconds: ids of the others and replicas.
    others = [port for port in ports[3:] if port != own]
    return [
        f"sentinel myid {_id(own)}",
        f"sentinel monitor {NAME} 127.0.0.1 {ports[0]} {QUORUM}",
        f"sentinel down-after-milliseconds {NAME} {DOWN_AFTER_MS}",
        f"sentinel failover-timeout {NAME} {FAILOVER_TIMEOUT_MS}",
        *(f"sentinel known-replica {NAME} 127.0.0.1 {port}" for port in ports[1:3]),
        *(f"sentinel known-sentinel {NAME} 127.0.0.1 {port} {_id(port)}" for port in others),
    ]


def _id(port: int) -> str:
    return f"{port:040x}"


def _named_by(sentinel: Sentinel) -> int:
    with redis.Redis(port=sentinel.port, socket_timeout=ANSWER_LIMIT) as client:
        return int(client.sentinel_get_master_addr_by_name(NAME)[1])


def _is_linked(replica: RedisServer) -> bool:
    return _replication(replica).get("master_link_status") == "up"


def _is_primary(server: RedisServer) -> bool:
    return _replication(server).get("role") == "master"


def _replication(server: RedisServer) -> dict[str, str]:
    try:
        with redis.Redis(port=server.port, socket_timeout=ANSWER_LIMIT) as client:
            return dict(client.info("replication"))
    except redis.RedisError:
        return {}
