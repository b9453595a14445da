"""The example as in production (`make example-real`): short runs, and what they are judged by."""

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.integration.watching import LIMIT
from tests.real.figures import LOGGED, Agreement, Counts
from tests.real.ledger import Ledger
from tests.real.options import parse
from tests.real.readers import Told
from tests.real.report import Report
from tests.servers.process import wait_until
from tools.servers import ROOT

RUN_LIMIT = 240.0  # seconds, for a loaded machine; a short run takes some 25 on an idle one
# So long that a loaded machine's relay keeps it, and shorter than the runs.
BOUND = "--bound=3"

needs_servers = pytest.mark.usefixtures("postgres_servers", "redis_server")


@needs_servers
@pytest.mark.parametrize("source", ["pg_stat_statements", "their logs"])
def test_no_read_is_stale_and_the_servers_confirm_all_counts(source: str) -> None:
    # The servers are those of the run; the fixtures say where their programs are missing.
    done = run("--seconds=8", BOUND, *(["--log"] if source == "their logs" else []))

    assert done.returncode == 0, done.stdout
    assert f"databases: {source}" in done.stdout
    shown = cells(done.stdout)
    assert int(shown["stale reads"][0]) == 0
    assert int(shown["rows compared, Django"][0]) > 100
    assert int(shown["rows compared, outside"][0]) > 100
    pages = shown["pages of 100 rows"][0]
    assert shown["queries to events by web"] == [pages, pages, "1.000"]
    for what in ("queries to default by web", "MGET at Redis", "EVALSHA at Redis"):
        programs, servers, _ = shown[what]
        assert int(programs) == int(servers) > 0


@needs_servers
@pytest.mark.parametrize(("part", "writer"), [("relay", "outside"), ("marks", "Django")])
def test_without_a_part_it_finds_stale_reads(part: str, writer: str) -> None:
    # Then only what the part is for: whatever is allowed to the other writer takes longer.
    done = run("--seconds=5", "--bound=1" if part == "relay" else "--bound=60", f"--without={part}")

    assert done.returncode == 1
    assert set(re.findall(r" was committed by (\w+)$", done.stdout, re.MULTILINE)) == {writer}


@needs_servers
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what runs")
def test_an_interrupted_run_leaves_no_process() -> None:
    mark = f"REFCACHE_TEST_RUN={uuid4().hex}"
    with started(mark, "--seconds=600") as process:
        assert process.stdout
        while "Reading" not in (line := process.stdout.readline()):
            assert line, "it has ended"
        assert len(running_with(mark)) > 8

        process.send_signal(signal.SIGINT)

        assert "everything has ended" in process.communicate(timeout=RUN_LIMIT)[0]
        assert process.returncode == 130
    wait_until(lambda: not running_with(mark), LIMIT)


# What it judges by.


@pytest.mark.parametrize(
    ("stale", "agreement", "lag", "failure"),
    [
        (0, Agreement("a", 3, 3, None), 0.1, None),
        (1, Agreement("a", 3, 3, None), 0.1, "stale"),
        (0, Agreement("a", 3, 4, 3), 0.1, "a: the programs have counted 3, the servers 4"),
        (0, Agreement("a", 3, 3, None), 2.1, "the relay took longer than 2 s"),
    ],
)
def test_whatever_is_wrong_is_a_failure(
    stale: int, agreement: Agreement, lag: float, failure: str | None
) -> None:
    told = Told(troubles=["stale"] * stale)
    told.counted.update({"Django": 1, "troubles": stale})
    counts = Counts(Counter(), Counter(), Counter(), [lag])
    commits = {"Django": 1}

    report = Report(parse([]), told, counts, [agreement], commits, "")

    assert report.failures == ([failure] if failure else [])


def test_a_run_that_compared_nothing_is_a_failure() -> None:
    nothing = Counts(Counter(), Counter(), Counter(), [])

    report = Report(parse([]), Told(), nothing, [], {"Django": 1}, "")

    assert report.failures == ["nothing was compared that Django had written"]


def test_a_version_counts_from_when_it_is_committed(tmp_path: Path) -> None:
    ledger, other = Ledger(tmp_path / "rows", [7, 9]), Ledger(tmp_path / "rows", [7, 9])

    ledger.commit(9, 1)
    ledger.commit(9, 2)

    first, second = other.committed_at(9, 1), other.committed_at(9, 2)
    assert [other.latest(9, at) for at in (first - 1, first, second)] == [0, 1, 2]
    assert (other.latest(7, second), other.commits()) == (0, 2)


@pytest.mark.parametrize(
    ("line", "is_counted"),
    [
        ("web|LOG:  statement: SELECT 1", True),
        ("web|LOG:  execute <unnamed>: UPDATE customers_customer SET name = $1", True),
        ("web|LOG:  statement: SELECT set_config('TimeZone', 'UTC', false)", False),
        ("web|LOG:  statement: BEGIN", False),
        ("web|DETAIL:  parameters: $1 = 'SELECT 1'", False),
    ],
)
def test_a_log_tells_whose_rows_were_read_or_written(line: str, is_counted: bool) -> None:  # noqa: FBT001 - a parameter
    assert LOGGED.findall(line) == (["web"] if is_counted else [])


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "tests.real", *arguments],
        cwd=ROOT,
        env=wide(),
        stdout=subprocess.PIPE,
        text=True,
        timeout=RUN_LIMIT,
        check=False,
    )


def started(mark: str, *arguments: str) -> "subprocess.Popen[str]":
    name, _, value = mark.partition("=")
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "tests.real", *arguments],
        cwd=ROOT,
        env=wide() | {name: value},
        stdout=subprocess.PIPE,
        text=True,
    )


def wide() -> dict[str, str]:
    """The environment, with lines that hold a sentence each."""
    return os.environ | {"COLUMNS": "200"}


def cells(printed: str) -> dict[str, list[str]]:
    """The rows of the tables by their first cells."""
    rows = [line.strip("│").split("│") for line in printed.splitlines() if line.startswith("│")]
    return {first.strip(): [each.strip() for each in rest] for first, *rest in rows}


def running_with(mark: str) -> list[int]:
    """The processes that have inherited the variable."""

    def environs() -> Iterator[tuple[int, bytes]]:
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                yield int(folder.name), (folder / "environ").read_bytes()
            except OSError:
                continue  # It has ended, or is another user's.

    return [pid for pid, environ in environs() if mark.encode() in environ.split(b"\0")]
