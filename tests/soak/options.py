"""What a run is told."""

from argparse import ArgumentParser
from dataclasses import dataclass

DATABASES = ("default", "mariadb", "sqlite")
GUARDS = ("lists", "marks", "sql", "release")
DESCRIPTION = "Read, write and kill at random; exit with 1 where a read contradicts a commit."


@dataclass(frozen=True, slots=True)
class Options:
    """A run's arguments.

    Args:
        without: A guard that is left out, to see that the run notices it.
    """

    seed: int
    seconds: float
    readers: int
    writers: int
    rows: int
    database: str
    without: str | None


def parse(arguments: list[str] | None = None) -> Options:
    parser = ArgumentParser(prog="python -m tests.soak", description=DESCRIPTION)
    parser.add_argument("--seed", type=int, default=1, help="of all choices; default: %(default)s")
    parser.add_argument("--seconds", type=float, default=20.0, help="default: %(default)s")
    parser.add_argument("--readers", type=int, default=4, help="processes; default: %(default)s")
    parser.add_argument("--writers", type=int, default=2, help="processes; default: %(default)s")
    parser.add_argument("--rows", type=int, default=20, help="default: %(default)s")
    parser.add_argument(
        "--database", choices=DATABASES, default="default", help="default: PostgreSQL"
    )
    parser.add_argument(
        "--without", choices=GUARDS, help="a guard to leave out: the run should find violations"
    )
    return Options(**vars(parser.parse_args(arguments)))
