"""`manage.py refcache_warm`: load rows into the store before anybody asks."""

import sys
import time
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import Error as DatabaseError
from django.db import connections

from refcache.core.exceptions import RefcacheError
from refcache.reading.warming import WarmCounts
from refcache.reference import Reference
from refcache.registry import references
from refcache.sql.sessions import may_fill

INTERRUPTED = 130  # what shells report for a program that Ctrl-C ended
HEADINGS = ("reference", "keys", "loaded", "stored", "absent", "seconds", "rows/s")

Progress = Callable[[int], None]


class Command(BaseCommand):
    help = (
        "Load the rows of references into the store. Safe beside live traffic: a row that is "
        "written meanwhile is left alone."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "references", nargs="*", metavar="reference", help="Which; default: all of them."
        )
        parser.add_argument(
            "--keys",
            help="Only these keys of the one reference named, separated by commas; '-' reads them "
            "from standard input, one a line. Parts of a composite key are separated by '/'.",
        )
        parser.add_argument(
            "--only-missing", action="store_true", help="Leave alone what is stored and fresh."
        )
        parser.add_argument(
            "--batch-size", type=_positive, default=500, help="Rows at a time (default: 500)."
        )
        parser.add_argument("--using", help="Only references that load from this database alias.")
        parser.add_argument(
            "--dry-run", action="store_true", help="Say what would be loaded, and load nothing."
        )

    def handle(self, *_: Any, **options: Any) -> None:
        chosen = self._chosen(options["references"], options["using"])
        keys = self._keys(options["keys"], chosen)
        if options["dry_run"]:
            return self._announce(chosen, keys, at_most=options["only_missing"])
        self._row(HEADINGS)
        for reference in chosen:
            self._warm(reference, keys, options)
        return None

    def _chosen(self, names: list[str], using: str | None) -> list[Reference]:
        if using is not None and using not in connections:
            known = ", ".join(connections)
            raise CommandError(f"--using {using!r} is no alias of DATABASES (known: {known}).")
        try:
            chosen = [references[name] for name in names or references]
            wanted = [each for each in chosen if using in (None, each.alias)]
        except RefcacheError as exc:
            raise CommandError(str(exc)) from exc
        if not wanted:
            raise CommandError(
                "There is no reference to warm: "
                + (f"none loads from {using!r}." if chosen else "none is registered.")
            )
        return wanted

    def _keys(self, given: str | None, chosen: list[Reference]) -> list[object] | None:
        if given is None:
            return None
        if len(chosen) != 1:
            raise CommandError("--keys goes with exactly one reference: name it.")
        lines = sys.stdin.read().splitlines() if given == "-" else given.split(",")
        texts = [text.strip() for text in lines if text.strip()]
        is_composite = chosen[0].has_composite_key
        keys = [tuple(text.split("/")) if is_composite else text for text in texts]
        if wrong := chosen[0].rejected(keys):
            raise CommandError(f"--keys: {wrong[0]}")
        return keys

    def _announce(
        self, chosen: list[Reference], keys: list[object] | None, *, at_most: bool
    ) -> None:
        for reference in chosen:
            try:
                rows = reference.count() if keys is None else len(keys)
            except DatabaseError as exc:
                raise CommandError(f"{reference.name}: {exc}") from exc
            few = "at most " if at_most else ""
            self.stdout.write(f"{reference.name}: {few}{rows} rows from {reference.alias!r}")

    def _warm(
        self, reference: Reference, keys: list[object] | None, options: dict[str, Any]
    ) -> None:
        counts, started = WarmCounts(), time.monotonic()

        def keep(so_far: WarmCounts) -> None:
            nonlocal counts
            counts = so_far
            show(so_far.seen)

        try:
            total = reference.count() if keys is None else len(keys)
            with progress_bar(reference.name, total) as show:
                reference.warm(
                    keys,
                    batch_size=options["batch_size"],
                    only_missing=options["only_missing"],
                    progress=keep,
                )
        except KeyboardInterrupt:
            self._report(reference, counts, started)
            self.stderr.write("Interrupted; what is stored above stays stored.")
            sys.exit(INTERRUPTED)
        except (RefcacheError, DatabaseError) as exc:
            self._report(reference, counts, started)
            raise CommandError(f"{reference.name}: {exc}") from exc
        self._report(reference, counts, started)

    def _report(self, reference: Reference, counts: WarmCounts, started: float) -> None:
        seconds = time.monotonic() - started
        rate = counts.seen / seconds if seconds else 0.0
        numbers = (counts.seen, counts.loaded, counts.stored, counts.absent)
        self._row((reference.name, *map(str, numbers), f"{seconds:.2f}", f"{rate:.0f}"))
        left = counts.loaded - counts.absent - counts.stored
        if left > 0:
            self.stderr.write(f"{reference.name}: {left} rows were not stored: {_why(reference)}.")

    def _row(self, cells: tuple[str, ...]) -> None:
        name, *numbers = cells
        self.stdout.write(f"{name:<24}" + "".join(f"{cell:>10}" for cell in numbers))


def _why(reference: Reference) -> str:
    if not may_fill(reference.alias):
        return (
            f"a transaction is open on {reference.alias!r}, and others may not see what it sees. "
            "Warm outside of it"
        )
    return "they were written meanwhile, or the store did not take them (see the log)"


@contextmanager
def progress_bar(name: str, total: int) -> Iterator[Progress]:
    """A bar on a terminal where rich is installed; else nothing."""
    if not sys.stderr.isatty() or not find_spec("rich"):
        yield lambda _: None
        return
    # By name: rich is optional.
    with import_module("refcache.contrib.progress").progress_bar(name, total) as show:
        yield show


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is no whole number >= 1")
    return int(text)
