"""What a block of a test asks of the two databases and of Redis, and that nothing is cached."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import redis

from refcache import references
from tests.integration.watching import redis_commands, statements

PREFIX = b"test:1:"


@dataclass
class Cost:
    """What a block asked of database A (events), of database B, and of Redis."""

    to_a: list[str] = field(default_factory=list)
    to_b: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)

    @property
    def counts(self) -> tuple[int, int, int]:
        return len(self.to_a), len(self.to_b), len(self.commands)


@contextmanager
def measuring(client: redis.Redis) -> Iterator[Cost]:
    """Gives what the block costs, once it has ended."""
    cost = Cost()
    with (
        redis_commands(client, PREFIX) as commands,
        statements("events") as to_a,
        statements("default") as to_b,
    ):
        yield cost
    cost.to_a, cost.to_b, cost.commands = to_a, to_b, commands


def forget(names: Iterable[str]) -> None:
    """Drop what is cached of the project's references of those *names*."""
    # What was written before Redis was started; while any of it waits, the database is read.
    assert references.recovery.retry()
    for name in names:
        references[name].invalidate_all()
