"""What a run is told."""

from argparse import ArgumentParser
from dataclasses import dataclass

DESCRIPTION = "Hurt each server in each way, and exit with 1 where a promise was not kept."


@dataclass(frozen=True, slots=True)
class Options:
    """A run's arguments.

    Args:
        seconds: That a fault lasts.
        only: A part of the names of the faults that are played.
    """

    seed: int
    seconds: float
    only: str


def parse(arguments: list[str] | None = None) -> Options:
    parser = ArgumentParser(prog="python -m tests.faults", description=DESCRIPTION)
    parser.add_argument("--seed", type=int, default=1, help="of all choices; default: %(default)s")
    parser.add_argument("--seconds", type=float, default=3.0, help="default: %(default)s")
    parser.add_argument("--only", default="", help="faults whose names contain this")
    return Options(**vars(parser.parse_args(arguments)))
