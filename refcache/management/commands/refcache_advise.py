"""`manage.py refcache_advise`: which pattern fits each reference, by the sizes of its tables."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import Error as DatabaseError

from refcache.advice import Advice, Facts, advise, size
from refcache.core.exceptions import RefcacheError
from refcache.reference import Reference
from refcache.registry import references
from refcache.sizes import facts_of

HEADINGS = ("reference", "rows", "table", "a row", "all rows", "pattern")
UNKNOWN = "?"


class Command(BaseCommand):
    help = (
        "Say which pattern of docs/patterns.md fits each reference, and why. Estimates big tables, "
        "and loads no more than a sample of their rows."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "references", nargs="*", metavar="reference", help="Which; default: all of them."
        )
        parser.add_argument("--json", action="store_true", help="For programs; sizes in bytes.")

    def handle(self, *_: Any, **options: Any) -> None:
        measured = [_facts(each) for each in _chosen(options["references"])]
        advised = [(facts, advise(facts)) for facts in measured]
        if options["json"]:
            return self.stdout.write(json.dumps([_as_json(*each) for each in advised], indent=2))
        return self._show(advised)

    def _show(self, advised: list[tuple[Facts, Advice]]) -> None:
        rows = [HEADINGS, *(_cells(*each) for each in advised)]
        *widths, _ = (max(map(len, column)) for column in zip(*rows, strict=True))
        for row in rows:
            name, *numbers, pattern = row
            aligned = [cell.rjust(width) for cell, width in zip(numbers, widths[1:], strict=True)]
            self.stdout.write("  ".join([name.ljust(widths[0]), *aligned, pattern]))
        self.stdout.write("")
        for facts, advice in advised:
            self.stdout.write(f"{facts.reference}: {advice.reason}")


def _chosen(names: list[str]) -> list[Reference]:
    try:
        chosen = [references[name] for name in names or references]
    except RefcacheError as exc:
        raise CommandError(str(exc)) from exc
    if not chosen:
        raise CommandError("There is nothing to advise on: no reference is registered.")
    return chosen


def _facts(reference: Reference) -> Facts:
    try:
        return facts_of(reference.plan)
    except (RefcacheError, DatabaseError) as exc:
        raise CommandError(f"{reference.name}: {exc}") from exc


def _cells(facts: Facts, advice: Advice) -> tuple[str, ...]:
    return (
        facts.reference,
        f"{facts.rows:,}",
        UNKNOWN if facts.table_bytes is None else size(facts.table_bytes),
        size(facts.row_bytes),
        size(facts.context_bytes),
        " + ".join(advice.patterns),
    )


def _as_json(facts: Facts, advice: Advice) -> dict[str, Any]:
    told = asdict(facts) | {
        "row_bytes": round(facts.row_bytes),
        "context_bytes": facts.context_bytes,
        "referrers": sorted(facts.referrers),
        "databases": sorted(facts.databases),
    }
    return told | asdict(advice)
