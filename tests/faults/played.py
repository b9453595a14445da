"""What one fault has come to, in a line of the table; imported once the bounds are chosen."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.faults.commands import ProcessSilent
from tests.faults.herds import LOAD, SIZES, stampede
from tests.faults.limits import MARGIN
from tests.faults.options import Options
from tests.faults.postgres_faults import POSTGRES_FAULTS
from tests.faults.redis_faults import REDIS_FAULTS
from tests.faults.scenarios import Scenario, play
from tests.servers.postgres_server import PostgresServer
from tests.servers.process import ServerError

HEAD = (
    f"{'fault':<36}{'reads':>7}{'errors':>8}{'refused':>9}{'worst ms':>10}{'bound ms':>10}"
    f"{'stale':>7}{'behind ms':>11}"
)


@dataclass(frozen=True, slots=True)
class Played:
    """A line, and what contradicted a promise.

    `refused` are the errors that are declared; `behind` is for how long the worst read ignored a
    commit, be it allowed (writers could not tell Redis) or not.
    """

    line: str
    violations: list[str]


Play = Callable[[], Played]


def plays(options: Options, folder: Path, postgres: PostgresServer) -> Iterator[tuple[str, Play]]:
    """All that is to be played, by name."""
    for scenario in (*REDIS_FAULTS, *POSTGRES_FAULTS):
        yield scenario.name, partial(_scenario, scenario, options, folder, postgres)
    for has_redis in (True, False):
        name = f"herd, {'cold' if has_redis else 'without Redis'}"
        yield name, partial(_herd, name, folder, postgres, has_redis=has_redis)


def played(name: str, play: Play) -> Played:
    """A play that does not come to its end is a violation."""
    try:
        return play()
    except (ProcessSilent, ServerError) as exc:
        return Played(f"{name:<36}      -", [str(exc)])


def _scenario(
    scenario: Scenario, options: Options, folder: Path, postgres: PostgresServer
) -> Played:
    found = play(scenario, folder, postgres, seconds=options.seconds, seed=options.seed)
    counts = (found.reads, found.errors.total(), found.refusals)
    times = (found.worst, found.allowance.bound)
    line = _line(scenario.name, counts, times, found.stale, found.oldest)
    return Played(line, found.violations(MARGIN))


def _herd(name: str, folder: Path, postgres: PostgresServer, *, has_redis: bool) -> Played:
    found = stampede(folder, postgres, has_redis=has_redis)
    once = found.repeated() if has_redis else found.overlapping()
    reads = sum(SIZES)
    line = _line(name, (reads, reads - found.answered, 0), (found.worst, 2 * LOAD), 0, 0.0)
    return Played(line, [*found.slow(MARGIN), *once])


def _line(
    name: str,
    counts: tuple[int, int, int],
    times: tuple[float, float],
    stale: int,
    behind: float,
) -> str:
    (reads, errors, refused), (worst, bound) = counts, times
    return (
        f"{name:<36}{reads:>7}{errors:>8}{refused:>9}{worst * 1000:>10.0f}{bound * 1000:>10.0f}"
        f"{stale:>7}{behind * 1000:>11.0f}"
    )
