"""refcache_warm: what it loads and stores, what it says, and how it ends."""

import gc
import os
import pty
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from typing import Any, NamedTuple

import pytest
import redis
from django.core.management import CommandError, call_command
from django.db import connection, connections, transaction
from pytest_django import Settings

from refcache import references
from refcache.core.events import FillRefused
from refcache.reading.warming import WarmCounts
from tests.integration.watching import execute_unseen, redis_commands, statements
from tests.restapp.models import Buyer, Firm, Gadget, Spot
from tests.servers.process import wait_until

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "events"])

REFERENCES = ("buyer", "account", "gadget", "spot", "by-serial")
NO_SUCH_ID = 10**9
LIMIT = 60.0  # seconds, for a loaded machine


class Row(NamedTuple):
    """A line of the report."""

    keys: int
    loaded: int
    stored: int
    absent: int
    seconds: float
    rate: int


class Report(NamedTuple):
    """What the command wrote."""

    text: str
    errors: str

    @property
    def rows(self) -> dict[str, Row]:
        lines = [line.split() for line in self.text.splitlines()[1:]]
        return {
            name: Row(int(keys), int(loaded), int(stored), int(absent), float(seconds), int(rate))
            for name, keys, loaded, stored, absent, seconds, rate in lines
        }


@pytest.fixture(autouse=True)
def cold(transactional_db: None, scripts: None) -> None:  # noqa: ARG001 - they are needed
    for name in REFERENCES:
        references[name].invalidate_all()


def warm(*arguments: str) -> Report:
    out, errors = StringIO(), StringIO()
    call_command("refcache_warm", *arguments, stdout=out, stderr=errors)
    return Report(out.getvalue(), errors.getvalue())


def make_gadgets(number: int) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO restapp_gadget (serial) SELECT 'g' || n FROM generate_series(1, %s) n "
            "RETURNING id",
            [number],
        )
        return [pk for (pk,) in cursor.fetchall()]


def test_a_whole_reference_is_stored() -> None:
    pks = make_gadgets(1200)

    report = warm("gadget")

    assert report.rows["gadget"][:4] == (1200, 1200, 1200, 0)
    with statements() as sent:
        assert len(references["gadget"].get_many(pks)) == 1200
    assert sent == []


def test_the_report_has_seconds_and_rows_per_second() -> None:
    make_gadgets(100)

    report = warm("gadget")

    heading, _ = report.text.splitlines()
    assert heading.split() == [
        "reference", "keys", "loaded", "stored", "absent", "seconds", "rows/s",
    ]  # fmt: skip
    row = report.rows["gadget"]
    assert row.seconds < LIMIT
    assert row.rate > 0
    assert report.errors == ""


def test_several_references_have_a_line_each() -> None:
    make_gadgets(3)

    assert list(warm("gadget", "spot").rows) == ["gadget", "spot"]


def test_all_references_are_the_default() -> None:
    assert list(warm().rows) == list(references)


def test_chosen_keys_are_loaded_alone() -> None:
    pks = make_gadgets(5)

    report = warm("gadget", f"--keys={pks[0]}, {pks[3]},{NO_SUCH_ID}")

    assert report.rows["gadget"][:4] == (3, 3, 3, 1)
    with statements() as sent:
        references["gadget"].get_many([pks[0], pks[3], NO_SUCH_ID])
        assert sent == []
        references["gadget"].get(pks[1])
        assert len(sent) == 1


def test_keys_are_read_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    pks = make_gadgets(5)
    monkeypatch.setattr(sys, "stdin", StringIO(f"{pks[0]}\n\n  {pks[1]}\n"))

    assert warm("gadget", "--keys=-").rows["gadget"].stored == 2


def test_composite_keys_are_written_with_slashes() -> None:
    Spot.objects.create(site="x", number=1, label="a")

    report = warm("spot", "--keys=x/1,x/2")

    assert (report.rows["spot"].keys, report.rows["spot"].absent) == (2, 1)
    with statements() as sent:
        found = references["spot"].get(("x", 1))
    assert found is not None
    assert (found.label, sent) == ("a", [])


def test_a_whole_reference_by_a_composite_key_is_stored() -> None:
    Spot.objects.bulk_create(Spot(site="x", number=n, label="a") for n in range(7))

    report = warm("spot", "--batch-size=3")

    assert report.rows["spot"][:3] == (7, 7, 7)
    with statements() as sent:
        assert len(references["spot"].get_many([("x", n) for n in range(7)])) == 7
    assert sent == []


def test_a_whole_reference_by_another_key_is_stored() -> None:
    make_gadgets(7)

    warm("by-serial")

    with statements() as sent:
        assert len(references["by-serial"].get_many([f"g{n}" for n in range(1, 8)])) == 7
    assert sent == []


def test_spanned_rows_are_stored_too() -> None:
    firm = Firm.objects.create(name="ACME")
    buyer = Buyer.objects.create(name="Ann", firm=firm)

    warm("account")

    with statements() as sent:
        found = references["account"].get(buyer.pk)
    assert found is not None
    assert (found["firm__name"], sent) == ("ACME", [])


def test_rows_outside_the_filter_are_not_loaded() -> None:
    Buyer.objects.create(name="Ann")
    Buyer.objects.create(name="Bob", is_active=False)

    assert warm("buyer").rows["buyer"][:2] == (1, 1)


def test_only_missing_rows_are_loaded_where_that_is_asked_for() -> None:
    pks = make_gadgets(5)
    references["gadget"].get_many(pks[:2])

    report = warm("gadget", "--only-missing")

    assert report.rows["gadget"][:3] == (5, 3, 3)
    assert report.errors == ""


def test_stored_rows_are_loaded_anew_otherwise() -> None:
    pks = make_gadgets(2)
    references["gadget"].get_many(pks)
    execute_unseen("UPDATE restapp_gadget SET serial = 'new' WHERE id = %s", [pks[0]])

    assert warm("gadget").rows["gadget"].stored == 2

    found = references["gadget"].get(pks[0])
    assert found is not None
    assert found.serial == "new"


def test_a_batch_is_one_query_and_three_round_trips(client: redis.Redis) -> None:
    make_gadgets(10)

    with redis_commands(client, b"test:1:") as commands, statements() as sent:
        warm("gadget", "--batch-size=4")

    assert sorted(commands) == ["MGET"] * 3 + ["claim"] * 3 + ["fill"] * 3
    # The count, the keys, and three batches.
    assert len(sent) == 5


def test_only_references_of_a_database_are_warmed_where_one_is_named() -> None:
    assert list(warm("gadget", "--using=default").rows) == ["gadget"]

    with pytest.raises(CommandError, match="none loads from 'events'"):
        warm("gadget", "--using=events")


def test_a_dry_run_stores_nothing() -> None:
    pks = make_gadgets(5)

    report = warm("gadget", "--dry-run")

    assert report.text == "gadget: 5 rows from 'default'\n"
    assert warm("gadget", f"--keys={pks[0]}", "--dry-run").text.startswith("gadget: 1 rows")
    assert references["gadget"].lookup(pks).provenance(pks[0]).tier == "database"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gadgt"], "'gadgt' is not a registered reference .known: .*gadget"),
        (["--using=evnts"], "'evnts' is no alias of DATABASES .known: default, events"),
        (["gadget", "--batch-size=0"], "'0' is no whole number >= 1"),
        (["gadget", "--batch-size=many"], "'many' is no whole number"),
        (["gadget", "--keys=1,abc"], "--keys: 'abc' is not a key of restapp.Gadget.id"),
        (["spot", "--keys=x"], "expected a tuple of site, number"),
        (["--keys=1"], "--keys goes with exactly one reference"),
        (["gadget", "spot", "--keys=1"], "--keys goes with exactly one reference"),
    ],
)
def test_wrong_arguments_are_told(arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        warm(*arguments)


def test_an_older_row_is_never_stored_over_a_newer_one() -> None:
    """A write commits after the row was loaded, and before it is stored."""
    pks = make_gadgets(3)
    refused = references.counts.of(FillRefused, "gadget")

    with loads_followed_by(lambda: rename(pks[1])):
        report = warm("gadget")

    assert report.rows["gadget"][:3] == (3, 3, 2)
    assert "1 rows were not stored: they were written meanwhile" in report.errors
    assert references.counts.of(FillRefused, "gadget") == refused + 1
    assert [row.serial for row in references["gadget"].get_many(pks).values()] == [
        "g1",
        "renamed",
        "g3",
    ]


def test_a_newer_entry_that_others_stored_meanwhile_is_kept() -> None:
    pks = make_gadgets(1)

    def rename_and_read() -> None:
        rename(pks[0])
        in_thread(lambda: references["gadget"].get(pks[0]))

    with loads_followed_by(rename_and_read):
        warm("gadget")

    with statements() as sent:
        found = references["gadget"].get(pks[0])
    assert found is not None
    assert (found.serial, sent) == ("renamed", [])


def test_others_are_served_while_a_stored_row_is_loaded_anew() -> None:
    pks = make_gadgets(1)
    references["gadget"].get_many(pks)
    seen: list[str] = []

    def read() -> None:
        lookup = in_thread(lambda: references["gadget"].lookup(pks))
        seen.append(lookup.provenance(pks[0]).tier)

    with loads_followed_by(read):
        warm("gadget")

    assert seen == ["redis"]


def test_within_a_transaction_that_has_written_nothing_is_stored_and_that_is_told() -> None:
    with transaction.atomic():
        pks = make_gadgets(3)
        report = warm("gadget")

    assert report.rows["gadget"][:3] == (3, 3, 0)
    assert "3 rows were not stored: a transaction is open on 'default'" in report.errors
    assert references["gadget"].lookup(pks).provenance(pks[0]).tier == "database"


def test_within_a_transaction_that_only_reads_rows_are_stored() -> None:
    make_gadgets(3)

    with transaction.atomic():
        report = warm("gadget")

    assert report.rows["gadget"][:3] == (3, 3, 3)
    assert report.errors == ""


def test_keys_are_streamed_by_a_cursor_of_the_server() -> None:
    make_gadgets(1000)
    cursors: list[Any] = []

    def look(_: WarmCounts) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT statement FROM pg_cursors WHERE is_holdable")
            cursors.append(cursor.fetchall())

    references["gadget"].warm(batch_size=100, progress=look)

    assert len(cursors) == 10
    assert all("restapp_gadget" in statement for ((statement,),) in cursors[:-1])


def test_keys_are_read_in_slices_where_such_cursors_are_disabled(settings: Settings) -> None:
    assert settings.DATABASES
    pks = make_gadgets(10)
    options = connections["default"].settings_dict
    options["DISABLE_SERVER_SIDE_CURSORS"] = True
    try:
        with statements() as sent:
            counts = references["gadget"].warm(batch_size=4)
    finally:
        options["DISABLE_SERVER_SIDE_CURSORS"] = False

    assert counts == WarmCounts(10, 10, 10, 0)
    assert sum("LIMIT 4" in sql for sql in sent) == 4
    assert len(references["gadget"].get_many(pks)) == 10


@pytest.mark.full
def test_ten_times_the_rows_need_no_more_memory() -> None:
    make_gadgets(10_000)
    few = peak(references["gadget"].warm)
    Gadget.objects.all().delete()
    make_gadgets(100_000)

    many = peak(references["gadget"].warm)

    assert many < 1.5 * few


def test_three_times_the_rows_need_no_more_memory() -> None:
    make_gadgets(2_000)
    references["gadget"].warm()  # What is made once is not counted.
    few = peak(lambda: references["gadget"].warm(batch_size=100))
    execute_unseen("UPDATE restapp_gadget SET serial = 'old' || serial")
    make_gadgets(4_000)

    many = peak(lambda: references["gadget"].warm(batch_size=100))

    assert many < 1.5 * few


def test_ctrl_c_reports_what_was_done_and_ends_with_130(client: redis.Redis) -> None:
    make_gadgets(30_000)

    def stored() -> int:
        return sum(1 for _ in client.scan_iter("test:1:*gadget*", count=1000))

    before = stored()
    with start("gadget", "--batch-size=1") as process:  # That takes half a minute.
        wait_until(lambda: stored() > before + 2, LIMIT)
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=LIMIT)

    assert process.returncode == 130
    row = Report(out, errors).rows["gadget"]
    assert 0 < row.stored <= row.loaded < 30_000
    assert "Interrupted; what is stored above stays stored." in errors
    assert "Traceback" not in errors


def test_a_terminal_gets_a_progress_bar() -> None:
    pytest.importorskip("rich", reason="the progress bar needs rich")
    make_gadgets(1000)
    terminal, end = pty.openpty()

    with start("gadget", stderr=end, TERM="xterm") as process:
        os.close(end)
        shown = read_all(terminal)
        out, _ = process.communicate(timeout=LIMIT)

    assert process.returncode == 0
    assert "gadget" in shown
    assert "━" in shown
    assert "1000/1000" in shown
    assert Report(out, "").rows["gadget"].stored == 1000


def test_nothing_but_the_report_is_written_without_a_terminal() -> None:
    make_gadgets(1000)

    with start("gadget") as process:
        out, errors = process.communicate(timeout=LIMIT)

    assert (process.returncode, errors) == (0, "")
    assert Report(out, errors).rows["gadget"].stored == 1000
    assert "\x1b" not in out


def start(
    *arguments: str, stderr: int = subprocess.PIPE, **environment: str
) -> "subprocess.Popen[str]":
    """Start the command in a process of its own."""
    return subprocess.Popen(
        # The tests' models are not all that the checks want.
        [sys.executable, "-m", "django", "refcache_warm", "--skip-checks", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", **environment},
    )


def read_all(terminal: int) -> str:
    parts = []
    try:
        while part := os.read(terminal, 4096):
            parts.append(part)
    except OSError:  # How Linux tells that the other end is closed.
        pass
    os.close(terminal)
    return b"".join(parts).decode()


def rename(pk: int) -> None:
    def write() -> None:
        gadget = Gadget.objects.get(pk=pk)
        gadget.serial = "renamed"
        gadget.save()

    in_thread(write)


def in_thread(act: Callable[[], Any]) -> Any:
    """Do it as another process would: by connections of its own."""

    def act_and_close() -> Any:
        try:
            return act()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as threads:
        return threads.submit(act_and_close).result(LIMIT)


def loads_followed_by(act: Callable[[], None]) -> Any:
    """Do something each time that this thread has loaded gadgets by their keys."""

    def execute_and_act(execute: Any, sql: str, *rest: Any) -> Any:
        result = execute(sql, *rest)
        if "restapp_gadget" in sql and " IN " in sql:
            act()
        return result

    return connection.execute_wrapper(execute_and_act)


def peak(act: Callable[[], Any]) -> int:
    """Measure the most memory that *act* holds at a time, in bytes.

    Garbage that waits for its collection is not held, and other threads may allocate meanwhile.
    """
    measured = []
    for _ in range(3):
        gc.collect()
        tracemalloc.start()
        try:
            act()
            measured.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    return min(measured)
