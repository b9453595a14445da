"""`make example-real`: the example as in production, under load, for some seconds."""

import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from random import Random
from types import FrameType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from tests.real.figures import Figures, agreements, read_counts
from tests.real.ledger import Ledger
from tests.real.options import Options, parse
from tests.real.programs import PREPARE, RELAY, Program, Site, gunicorn
from tests.real.readers import Reader, Told
from tests.real.report import Report
from tests.real.servers import servers
from tests.servers.addresses import free_port
from tests.servers.bed import Bed

WRITTEN = 50  # rows, by each of the two writers
LOOK = 0.2  # seconds between looks at the programs


class Run:
    """One run, in a folder of its own."""

    def __init__(self, options: Options, site: Site, console: Console) -> None:
        self._options = options
        self._site = site
        self._console = console
        random = self._random("rows")
        rows = random.sample(range(1, options.customers + 1), 2 * WRITTEN)
        # Mapped by the writers, too.
        self._files = {name: site.folder / f"{name}.ledger" for name in ("Django", "outside")}
        self._ledgers = {
            name: Ledger(self._files[name], rows[place * WRITTEN :][:WRITTEN])
            for place, name in enumerate(self._files)
        }
        self._ports = [free_port(), free_port()]

    def run(self) -> Report:
        """Prepare, load, end all programs, and compare."""
        self._say("Making tables, triggers and rows.")
        sizes = (f"--customers={self._options.customers}", f"--events={self._options.events}")
        self._site.counts.mkdir()
        self._site.run(*PREPARE, *sizes)
        for file in self._site.counts.iterdir():
            file.unlink()  # What was sent before is not of the load.
        self._site.servers.replica.catch_up()
        figures = Figures(self._site.servers)
        with self._programs() as programs:
            told = self._load(programs)
        # All have ended, and have said what they sent.
        counts = read_counts(self._site.counts)
        return Report(
            options=self._options,
            told=told,
            counts=counts,
            agreements=agreements(counts, figures),
            commits={name: each.commits() for name, each in self._ledgers.items()},
            source="their logs" if self._site.servers.logs else "pg_stat_statements",
        )

    @contextmanager
    def _programs(self) -> Iterator[list[Program]]:
        """All that run during the load; the writers are the first to end, the relay the last."""
        with ExitStack() as stack:
            programs = []
            if not self._options.without:
                programs.append(stack.enter_context(self._site.program("relay", "relay", *RELAY)))
                programs[-1].wait_until_it_says("Serving")
            for number, port in enumerate(self._ports, 1):
                web = self._site.program(f"web-{number}", "web", *gunicorn(port))
                programs.append(stack.enter_context(web))
                programs[-1].wait_until_it_serves(port)
            for name, role in (("Django", "writer"), ("outside", "outside")):
                programs.append(stack.enter_context(self._writer(name, role)))
                programs[-1].wait_until_it_says("Writing")
            yield programs

    def _writer(self, name: str, role: str) -> AbstractContextManager[Program]:
        rows = ",".join(map(str, self._ledgers[name].rows))
        module = "tests.real.django_writer" if name == "Django" else "tests.real.outside_writer"
        told = (str(self._files[name]), f"{self._options.seed} {name}", rows)
        environ = {}
        if self._options.without == "marks":
            environ["REDIS_URL"] = self._site.servers.redis.url.removesuffix("/0") + "/1"
        return self._site.program(role, role, module, *told, **environ)

    def _load(self, programs: Sequence[Program]) -> Told:
        """Read for the time that was asked for; what the readers have to tell."""
        self._say(f"Reading and writing for {self._options.seconds:g} s.")
        is_over = threading.Event()
        readers = [self._reader(number) for number in range(self._options.readers)]
        threads = [threading.Thread(target=each.read_until, args=[is_over]) for each in readers]
        for each in threads:
            each.start()
        try:
            self._watch(programs, readers)
        finally:
            is_over.set()
            for each in threads:
                each.join()
        told = Told()
        for reader in readers:
            told.add(reader.told)
        return told

    def _reader(self, number: int) -> Reader:
        return Reader(
            ports=self._ports,
            events=self._options.events,
            django=self._ledgers["Django"],
            outside=self._ledgers["outside"],
            bound=self._options.bound,
            random=self._random(f"reader {number}"),
        )

    def _watch(self, programs: Sequence[Program], readers: Sequence[Reader]) -> None:
        began = time.monotonic()
        columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
        with Progress(
            *columns, console=self._console, disable=not self._console.is_terminal
        ) as progress:
            task = progress.add_task("", total=self._options.seconds)
            while (elapsed := time.monotonic() - began) < self._options.seconds:
                for each in programs:
                    each.check()
                progress.update(task, completed=elapsed, description=self._summary(readers))
                time.sleep(LOOK)

    def _summary(self, readers: Sequence[Reader]) -> str:
        pages = sum(each.told.counted["pages"] for each in readers)
        stale = sum(each.told.counted["stale"] for each in readers)
        commits = sum(each.commits() for each in self._ledgers.values())
        return f"{pages} pages, {commits} commits, {stale} stale reads"

    def _random(self, name: str) -> Random:
        return Random(f"{self._options.seed} {name}")  # noqa: S311 - it must be repeatable

    def _say(self, line: str) -> None:
        self._console.print(line, highlight=False)


def main() -> int:
    """The exit status."""
    options, console = parse(), Console()
    # A supervisor's way to end it does what Ctrl-C does.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with Bed() as bed, servers(bed.folder, log=options.log) as running:
            report = Run(options, Site(bed.folder, running), console).run()
    except KeyboardInterrupt:
        console.print("Interrupted: everything has ended.")
        return 130
    report.print(console)
    return 1 if report.failures else 0


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
