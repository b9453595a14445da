"""Many callers at once, and a slow database."""

import pytest

from tests.conftest import PostgresServers
from tests.faults.herds import stampede
from tests.faults.limits import MARGIN
from tests.servers.bed import Bed


@pytest.mark.usefixtures("redis_server")
def test_a_herd_reads_each_cold_row_once(bed: Bed, postgres_servers: PostgresServers) -> None:
    verdict = stampede(bed.folder, postgres_servers.application, has_redis=True)

    assert [*verdict.slow(MARGIN), *verdict.repeated()] == []


@pytest.mark.usefixtures("redis_server")
def test_without_redis_each_process_loads_a_row_once_at_a_time(
    bed: Bed, postgres_servers: PostgresServers
) -> None:
    verdict = stampede(bed.folder, postgres_servers.application, has_redis=False)

    assert [*verdict.slow(MARGIN), *verdict.overlapping()] == []
