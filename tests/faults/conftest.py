"""How a test plays a scenario: on the run's PostgreSQL, and a Redis of its own."""

from collections.abc import Callable
from functools import partial

import pytest

from tests.conftest import PostgresServers
from tests.faults.limits import MARGIN
from tests.faults.scenarios import Scenario, play
from tests.servers.bed import Bed
from tests.servers.redis_server import RedisServer

SECONDS = 1.0  # that a fault lasts
SEED = 7

Violations = Callable[[Scenario], list[str]]


@pytest.fixture
def violations(
    bed: Bed,
    postgres_servers: PostgresServers,
    redis_server: RedisServer,  # noqa: ARG001 - says where its program is missing
) -> Violations:
    """Plays a scenario, and says what contradicted its promise."""
    postgres = postgres_servers.application
    playing = partial(play, folder=bed.folder, postgres=postgres, seconds=SECONDS, seed=SEED)
    return lambda scenario: playing(scenario).violations(MARGIN)
