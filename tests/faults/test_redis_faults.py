"""Redis in trouble: every read is answered in time, and nothing is stale afterwards."""

from tests.faults import redis_faults
from tests.faults.conftest import Violations


def test_reads_are_answered_while_redis_refuses_connections(violations: Violations) -> None:
    assert violations(redis_faults.REFUSED) == []


def test_nothing_is_stale_after_redis_was_killed_and_came_back_empty(
    violations: Violations,
) -> None:
    assert violations(redis_faults.KILLED) == []


def test_a_hanging_redis_delays_reads_by_its_timeout(violations: Violations) -> None:
    assert violations(redis_faults.HUNG) == []


def test_a_slow_redis_delays_reads_by_its_timeout(violations: Violations) -> None:
    assert violations(redis_faults.SLOW) == []


def test_a_black_hole_before_redis_delays_reads_by_the_timeout(violations: Violations) -> None:
    assert violations(redis_faults.SWALLOWED) == []


def test_cut_connections_are_replaced(violations: Violations) -> None:
    assert violations(redis_faults.CUT) == []


def test_garbage_from_redis_reaches_nobody(violations: Violations) -> None:
    assert violations(redis_faults.GARBLED) == []


def test_reads_are_answered_while_redis_is_full(violations: Violations) -> None:
    assert violations(redis_faults.FULL) == []


def test_reads_are_answered_while_redis_is_read_only(violations: Violations) -> None:
    assert violations(redis_faults.READ_ONLY) == []


def test_what_an_old_dump_brings_back_is_not_served(violations: Violations) -> None:
    assert violations(redis_faults.OLD_DUMP) == []


def test_nothing_is_stale_when_redis_is_flushed_under_writes(violations: Violations) -> None:
    assert violations(redis_faults.FLUSHED) == []


def test_nothing_is_stale_after_sentinels_promoted_a_replica(violations: Violations) -> None:
    assert violations(redis_faults.FAILED_OVER) == []


def test_reads_are_answered_while_the_pool_is_exhausted(violations: Violations) -> None:
    assert violations(redis_faults.EXHAUSTED) == []
