"""`make soak`: run at random for some seconds, and say what contradicted a commit."""

import sys
from collections import Counter
from importlib import import_module
from typing import Any

from tests.soak.options import Options, parse
from tests.soak.project import project

SHOWN = 20  # violations


def main() -> int:
    """The exit status."""
    options = parse()
    with project(options.database) as folder:
        # Models can be imported only now.
        run = import_module("tests.soak.run")
        ledger = run.Soak(options, folder, _progress).run()
        if sys.stderr.isatty():
            sys.stderr.write("\n")
        return report(options, ledger, run)


def report(options: Options, ledger: Any, run: Any) -> int:
    counts, violations = ledger.counts(), ledger.violations()
    loaded = counts["loaded"] / max(1, counts["rows"])
    kinds = Counter(each["what"] for each in violations)
    lines = [
        f"seed {options.seed}, {options.database}: {run.summary(ledger)}",
        f"answered without the database: {1 - loaded:.0%} of {counts['rows']} rows",
        *(f"{counts[name]:>9} {name}" for name in run.COUNTED),
        *(f"{number:>9} violations: {kind}" for kind, number in kinds.items()),
        *(f"seed {options.seed}: {each}" for each in violations[:SHOWN]),
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if violations else 0


def _progress(line: str) -> None:
    end = "\r" if sys.stderr.isatty() else "\n"
    sys.stderr.write(f"{line:<78}{end}")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
