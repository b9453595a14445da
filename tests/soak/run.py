"""One run: the processes, the kills among them, and what is true afterwards."""

import pickle
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from random import Random
from signal import SIGKILL
from typing import Any

from django.db import connection, connections

from refcache import references
from refcache.core.events import Resolved
from tests.soak import readers, writers
from tests.soak.broken import leave_out
from tests.soak.ledger import Ledger, merged
from tests.soak.models import Row
from tests.soak.options import Options
from tests.soak.project import WRITE_TIMEOUT
from tests.soak.readers import Reader, watch
from tests.soak.rows import code_of, new_row, plain_rows, stored
from tests.soak.ways import WAYS
from tests.soak.writers import Writer

COUNTED = (*readers.COUNTED, *writers.COUNTED, "kills", "rows in the end")
BETWEEN_KILLS = 0.8  # seconds, on average
LOOK = 0.02  # seconds between looks at the processes
ENOUGH = 5  # stale reads, after which a run ends before its time
LIMIT = 60.0  # seconds, for a process to end
TTL = 24 * 3600.0  # seconds: nothing is put right by its age

Progress = Callable[[str], None]


@dataclass(slots=True)
class Places:
    """Each process's column in the ledger: writers first."""

    options: Options

    @property
    def readers(self) -> range:
        return range(self.options.writers, self.watcher)

    @property
    def watcher(self) -> int:
        return self.options.writers + self.options.readers

    @property
    def parent(self) -> int:
        return self.watcher + 1


@dataclass(slots=True)
class Soak:
    """A run on the servers that settings name.

    Args:
        folder: For what its processes leave behind.
        progress: Called about once a second.
    """

    options: Options
    folder: Path
    progress: Progress
    ledger: Ledger = field(init=False)
    places: Places = field(init=False)
    born: int = 0

    def __post_init__(self) -> None:
        self.places = Places(self.options)
        self.ledger = Ledger(self.options.rows, self.places.parent + 1, COUNTED, self.folder)

    def run(self) -> Ledger:
        """Run; the ledger tells what has come of it."""
        register(self.options)
        self._make_rows()
        writing = [self._start_writer(place) for place in range(self.options.writers)]
        reading = [self._start(watch, self.ledger, self.places.watcher)]
        reading += [self._start(self._read, place) for place in self.places.readers]
        self._kill_until_over(writing)
        self.ledger.end()
        for process in (*writing, *reading):
            process.join(LIMIT)
            if process.exitcode not in (0, -SIGKILL):
                self.ledger.violate("crash", exitcode=process.exitcode)
        self._judge()
        return self.ledger

    def _make_rows(self) -> None:
        with connection.schema_editor() as editor:
            editor.create_model(Row)
        rows = [
            new_row(pk, self.ledger.now(), "first", self.options.writers)
            for pk in range(self.options.rows)
        ]
        plain_rows().bulk_create(rows)
        connections.close_all()  # Nothing is open when the processes are forked.

    def _kill_until_over(self, writing: list[BaseProcess]) -> None:
        random = self._random("kills")
        end = time.monotonic() + self.options.seconds
        next_kill = next_told = time.monotonic()
        while time.monotonic() < end and self._stale_reads() < ENOUGH:
            now = time.monotonic()
            if now >= next_kill:
                next_kill = now + random.expovariate(1 / BETWEEN_KILLS)
                self._replace(writing, random.randrange(len(writing)))
            for place, writer in enumerate(writing):
                if not writer.is_alive():
                    self._replace(writing, place)
            if now >= next_told:
                next_told = now + 1
                self.progress(f"{end - now:.0f} s left, {summary(self.ledger)}")
            time.sleep(LOOK)

    def _stale_reads(self) -> int:
        return sum(each["what"].startswith("stale") for each in self.ledger.violations())

    def _replace(self, writing: list[BaseProcess], place: int) -> None:
        writing[place].kill()
        writing[place].join(LIMIT)
        writing[place] = self._start_writer(place)
        self.ledger.count(self.places.parent, "kills")

    def _start_writer(self, place: int) -> BaseProcess:
        self.born += 1
        random = self._random(f"writer {place}, process {self.born}")
        return self._start(Writer(self.ledger, random, place, self.options.writers).run)

    def _read(self, place: int) -> None:
        reader = Reader(self.ledger, self._random(f"reader {place}"), place)
        reader.run(self.folder / f"seen-{place}")

    def _start(self, work: Callable[..., None], *arguments: Any) -> BaseProcess:
        process = get_context("fork").Process(
            target=self._work, args=(work, *arguments), daemon=True
        )
        process.start()
        return process

    def _work(self, work: Callable[..., None], *arguments: Any) -> None:
        leave_out(self.options.without)
        try:
            work(*arguments)
        except Exception:
            self.ledger.violate("crash", traceback=traceback.format_exc())
            raise
        finally:
            connections.close_all()

    def _random(self, name: str) -> Random:
        return Random(f"{self.options.seed} {name}")  # noqa: S311 - it must be repeatable

    # Afterwards.

    def _judge(self) -> None:
        """What stands in Redis equals the database; so does what is read when it has expired."""
        self.progress(f"reading all rows, {summary(self.ledger)}")
        references.subscribe(self._count_final)
        self._compare("left in Redis")
        time.sleep(WRITE_TIMEOUT)  # The markers of killed writers expire.
        self._compare("read again")
        self._compare("filled")
        for (row, version), marks in merged(self._seen()).items():
            if len(marks) > 1:
                self.ledger.violate("uncommitted value", row=row, read=version, marks=sorted(marks))

    def _compare(self, when: str) -> None:
        rows, pks = stored(), range(self.options.rows)
        by_pk = references["row"].get_many(pks)
        by_code = references["coded"].get_many(map(code_of, pks))
        for pk in pks:
            for found in (by_pk.get(pk), by_code.get(code_of(pk))):
                read = (found["version"], found["mark"]) if found else None
                if read != rows.get(pk):
                    self.ledger.violate(when, row=pk, read=read, stored=rows.get(pk))

        for version in sorted({version for version, _ in rows.values()}):
            listed = references["row"].keys_where(version__gte=version)
            expected = sorted(pk for pk, row in rows.items() if row[0] >= version)
            if listed != expected:
                self.ledger.violate(when, list=version, read=listed, stored=expected)

    def _count_final(self, event: object) -> None:
        if isinstance(event, Resolved):
            self.ledger.count(self.places.parent, "rows in the end", event.hits)

    def _seen(self) -> Iterator[readers.Seen]:
        for file in self.folder.glob("seen-*"):
            yield pickle.loads(file.read_bytes())  # noqa: S301 - our own processes' words


def register(options: Options) -> None:
    """The references, before anything is forked."""
    for name, key in (("row", "pk"), ("coded", "code")):
        references.register(
            "soak.Row",
            ["version", "mark"],
            name=name,
            key=key,
            ttl=TTL,
            negative_ttl=TTL,
            watch_sql=options.without != "sql",
            where=["version"],
        )


def summary(ledger: Ledger) -> str:
    counts = ledger.counts()
    writes = sum(counts[way] for way in WAYS)
    return (
        f"{counts['reads']} reads, {writes} writes, {counts['kills']} kills, "
        f"{len(ledger.violations())} violations"
    )
