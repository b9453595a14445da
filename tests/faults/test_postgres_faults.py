"""The database in trouble: callers get what the declared staleness allows, in time."""

from tests.faults import postgres_faults
from tests.faults.conftest import Violations


def test_tolerated_values_are_served_while_the_database_is_stopped(violations: Violations) -> None:
    assert violations(postgres_faults.STOPPED) == []


def test_without_tolerance_a_stopped_database_is_an_error_of_its_own(
    violations: Violations,
) -> None:
    assert violations(postgres_faults.STOPPED_INTOLERANT) == []


def test_rows_are_left_out_where_that_is_declared(violations: Violations) -> None:
    assert violations(postgres_faults.STOPPED_OMITTED) == []


def test_tolerated_values_are_served_soon_while_the_database_hangs(violations: Violations) -> None:
    assert violations(postgres_faults.HUNG) == []


def test_without_tolerance_a_hanging_load_fails_in_time(violations: Violations) -> None:
    assert violations(postgres_faults.HUNG_INTOLERANT) == []


def test_tolerated_values_hide_that_the_database_restarts(violations: Violations) -> None:
    assert violations(postgres_faults.RESTARTED) == []


def test_reads_go_on_after_the_database_has_restarted(violations: Violations) -> None:
    assert violations(postgres_faults.RESTARTED_INTOLERANT) == []


def test_nobody_waits_for_a_slow_database_while_old_values_are_revalidated(
    violations: Violations,
) -> None:
    assert violations(postgres_faults.SLOW) == []


def test_a_replica_that_lags_does_not_bring_back_what_was_overwritten(
    violations: Violations,
) -> None:
    assert violations(postgres_faults.REPLICA_PAUSED) == []
