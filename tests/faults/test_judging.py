"""The suite's own judgement: what counts as a violation."""

from tests.faults.judging import Allowance, Commit, Read, Verdict, compare, feel, judge

COMMITS = [Commit(10.0, 1, 5), Commit(20.0, 1, 8), Commit(20.0, 2, 7)]
MARGIN = 0.0


def read(began: float, value: int | None, *, seconds: float = 0.0, error: str = "") -> Read:
    values = [] if error else [(1, value)]
    return Read(began, began + seconds, values, is_stale=False, error=error or None)


def verdict(*reads: Read, **allowed: float) -> Verdict:
    return judge(reads, COMMITS, Allowance(bound=1.0, **allowed))  # type: ignore[arg-type]  # floats


def test_a_read_that_began_before_a_commit_may_ignore_it() -> None:
    assert verdict(read(9.0, 0), read(19.0, 5), read(21.0, 8)).violations(MARGIN) == []


def test_a_read_that_began_after_a_commit_may_not() -> None:
    found = verdict(read(23.0, 5), read(24.0, 8))

    assert (found.stale, found.oldest) == (1, 3.0)
    assert found.violations(MARGIN) == ["1 stale reads, the worst by 3.000 s"]


def test_a_read_may_ignore_a_commit_within_the_tolerance() -> None:
    assert verdict(read(23.0, 5), tolerance=3.0).stale == 0
    assert verdict(read(23.0, 5), tolerance=2.0).stale == 1


def test_commits_of_an_outage_may_be_unknown_until_it_is_over() -> None:
    assert verdict(read(23.0, 5), since=15.0, until=30.0).stale == 0
    assert verdict(read(31.0, 5), since=15.0, until=30.0).stale == 1
    assert verdict(read(23.0, 0), since=15.0, until=30.0).stale == 1


def test_a_read_may_not_take_longer_than_the_bound() -> None:
    assert verdict(read(1.0, 0, seconds=1.5)).violations(0.6) == []
    assert verdict(read(1.0, 0, seconds=1.5)).violations(0.4) == ["a read took 1.500 s, bound 1 s"]


def test_only_declared_errors_are_allowed() -> None:
    failed = read(1.0, None, error="Declared: reason")
    allowance = Allowance(bound=1.0, errors=("Declared",))

    assert judge([failed], [], allowance).violations(MARGIN) == []
    assert verdict(failed).violations(MARGIN) == ["1 errors, as Declared: reason"]


def test_an_absent_row_and_no_read_at_all_are_violations() -> None:
    assert verdict(read(1.0, None)).errors.total() == 1
    assert verdict().violations(MARGIN) == ["nothing was read"]


def test_what_differs_from_the_database_in_the_end_is_a_violation() -> None:
    found = verdict(read(1.0, 0))

    compare(found, [(1, 5), (2, 7)], {1: 8, 2: 7, 3: 0})

    assert found.left == [(1, 5, 8), (3, None, 0)]
    assert len(found.violations(MARGIN)) == 1


def test_a_fault_that_no_process_has_felt_is_a_violation() -> None:
    before = [{"StoreFailed": 2, "Resolved": 1}, {}]
    found = verdict(read(9.0, 0))

    feel(found, ("StoreFailed", "NotLoaded"), before, [{"StoreFailed": 2, "Resolved": 9}, {}])

    assert found.violations(MARGIN) == ["the fault was not felt: no StoreFailed or NotLoaded"]


def test_one_process_and_one_event_suffice() -> None:
    found = verdict(read(9.0, 0))

    feel(found, ("StoreFailed", "NotLoaded"), [{}, {}], [{}, {"NotLoaded": 1}])
    feel(found, (), [{}, {}], [{}, {}])

    assert found.violations(MARGIN) == []


def test_errors_that_are_allowed_have_to_be_seen() -> None:
    found = verdict(read(9.0, 0), errors=("Declared",))  # type: ignore[arg-type]  # floats

    assert found.violations(MARGIN) == ["no read was refused (Declared)"]


def test_rows_that_may_be_left_out_have_to_be() -> None:
    assert verdict(read(9.0, 0), absent=True).violations(MARGIN) == ["no row was left out"]
    assert verdict(read(9.0, None), absent=True).violations(MARGIN) == []


def test_old_answers_that_are_declared_have_to_be_seen() -> None:
    found = verdict(read(9.0, 0), expired=True)

    assert found.violations(MARGIN) == ["0 answers said that they are past their TTL"]
