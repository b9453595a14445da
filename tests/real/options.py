"""What a run is told."""

from argparse import ArgumentParser
from dataclasses import dataclass

DESCRIPTION = (
    "Read pages of the example's two web processes while others write; exit with 1 where a read "
    "is stale, or the programs' counts are not those of the servers."
)
# Without marks (the application's go to another database of Redis) there is no relay either: it
# would put right, somewhat later, what they leave.
PARTS = ("relay", "marks")


@dataclass(frozen=True, slots=True)
class Options:
    """A run's arguments.

    Args:
        bound: Seconds after which a read must show what a program outside Django has committed.
        log: Take the databases' figures from their logs, as where there is no pg_stat_statements.
        without: A part that is left out, to see that the run notices it.
    """

    seed: int
    seconds: float
    readers: int
    customers: int
    events: int
    bound: float
    log: bool
    without: str | None


def parse(arguments: list[str] | None = None) -> Options:
    parser = ArgumentParser(prog="python -m tests.real", description=DESCRIPTION)
    parser.add_argument("--seed", type=int, default=1, help="of all choices; default: %(default)s")
    parser.add_argument("--seconds", type=float, default=60.0, help="default: %(default)s")
    parser.add_argument("--readers", type=int, default=4, help="threads; default: %(default)s")
    parser.add_argument("--customers", type=int, default=500, help="rows; default: %(default)s")
    parser.add_argument("--events", type=int, default=5_000, help="rows; default: %(default)s")
    parser.add_argument(
        "--bound",
        type=float,
        # A look of the relay, where a NOTIFY has been lost, and as much again.
        default=2.0,
        help="seconds in which the relay has to apply a change; default: %(default)s",
    )
    parser.add_argument(
        "--log", action="store_true", help="count statements in the databases' logs"
    )
    parser.add_argument(
        "--without", choices=PARTS, help="a part to leave out: the run should find stale reads"
    )
    return Options(**vars(parser.parse_args(arguments)))
