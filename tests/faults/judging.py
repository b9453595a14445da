"""What the reads of a scenario were worth: answered, in time, and not older than allowed."""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

SHOWN = 5  # of a kind, in a message


class Read(NamedTuple):
    """One call; `values` is empty where it ended in an error, a value None where it was absent.

    `is_stale` is what the answer said of itself; an error begins with its class.
    """

    began: float
    ended: float
    values: Sequence[tuple[int, int | None]]
    is_stale: bool
    error: str | None


class Commit(NamedTuple):
    when: float
    key: int
    value: int


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a scenario's policy allows.

    Args:
        bound: Seconds within which a read is answered or fails as declared.
        errors: The classes that callers may get, and some do.
        absent: Whether rows that could not be read are left out; some are.
        expired: Whether answers past their TTL are served, and say so; None: they may be.
        tolerance: Seconds for which a read may ignore a commit.
        since: From when on commits may be unknown to reads that begin before `until`: their
            markers and releases could not be told.
        until: When everything had been told.
    """

    bound: float
    errors: tuple[str, ...] = ()
    absent: bool = False
    expired: bool | None = False
    tolerance: float = 0.0
    since: float = math.inf
    until: float = -math.inf


@dataclass(slots=True)
class Verdict:
    """What is true of one run.

    Args:
        errors: How many there were that the policy does not allow, by class; writers' as well.
        examples: One of each class.
        expired: Reads that said of themselves that they were past their TTL.
        refusals: How many reads ended in one that it does.
        left_out: How many reads lacked a row, be it allowed or not.
        unfelt: By what the fault would have been noticed, and was not; empty where it was.
        worst: Seconds of the longest read.
        stale: Reads that ignored a commit for longer than allowed.
        oldest: Seconds for which the worst read ignored a commit, be it allowed or not.
        left: What was wrong afterwards, per process: (key, read, stored).
    """

    allowance: Allowance
    reads: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    expired: int = 0
    refusals: int = 0
    left_out: int = 0
    unfelt: str = ""
    worst: float = 0.0
    stale: int = 0
    oldest: float = 0.0
    left: list[tuple[int, int | None, int]] = field(default_factory=list)

    def add_error(self, text: str) -> None:
        kind, _, _ = text.partition(":")
        self.errors[kind] += 1
        self.examples.setdefault(kind, text)

    def violations(self, margin: float) -> list[str]:
        """What contradicts the promise, in words; *margin* is granted above the bound."""
        found = self._unmet()
        found += [
            f"{number} errors, as {self.examples[kind]}" for kind, number in self.errors.items()
        ]
        if self.worst > self.allowance.bound + margin:
            found.append(f"a read took {self.worst:.3f} s, bound {self.allowance.bound:g} s")
        if self.stale:
            found.append(f"{self.stale} stale reads, the worst by {self.oldest:.3f} s")
        if self.left:
            found.append(f"stale afterwards (key, read, stored): {self.left[:SHOWN]}")
        return found

    def _unmet(self) -> list[str]:
        """What did not happen and had to, as without it the other promises say nothing."""
        found = []
        if not self.reads:
            found.append("nothing was read")
        if self.unfelt:
            found.append(f"the fault was not felt: {self.unfelt}")
        if self.allowance.errors and not self.refusals:
            found.append(f"no read was refused ({', '.join(self.allowance.errors)})")
        if self.allowance.absent and not self.left_out:
            found.append("no row was left out")
        if self.allowance.expired not in (None, bool(self.expired)):
            found.append(f"{self.expired} answers said that they are past their TTL")
        return found


class _History:
    """The commits to one row, in their order."""

    def __init__(self) -> None:
        self.values: list[int] = [0]
        self.times: list[float] = [-math.inf]

    def add(self, commit: Commit) -> None:
        self.values.append(commit.value)
        self.times.append(commit.when)

    def ignored_since(self, value: int) -> float:
        """When the first commit was that is newer than *value*."""
        place = bisect_right(self.values, value)
        return self.times[place] if place < len(self.times) else math.inf


def judge(reads: Iterable[Read], commits: Iterable[Commit], allowance: Allowance) -> Verdict:
    """The verdict on these reads; every row began with the value 0."""
    history: dict[int, _History] = {}
    for commit in sorted(commits):
        history.setdefault(commit.key, _History()).add(commit)
    verdict = Verdict(allowance)
    for read in reads:
        _judge_read(verdict, read, history)
    return verdict


def _judge_read(verdict: Verdict, read: Read, history: Mapping[int, _History]) -> None:
    verdict.reads += 1
    verdict.worst = max(verdict.worst, read.ended - read.began)
    verdict.expired += read.is_stale
    allowance = verdict.allowance
    if read.error:
        if read.error.startswith(allowance.errors):
            verdict.refusals += 1
        else:
            verdict.add_error(read.error)
    if any(value is None for _, value in read.values):
        verdict.left_out += 1
        if not allowance.absent:
            verdict.add_error("absent: a row was left out")
    ignored = [
        history[key].ignored_since(value)
        for key, value in read.values
        if value is not None and key in history
    ]
    since = min(ignored, default=math.inf)
    verdict.oldest = max(verdict.oldest, read.began - since)
    is_forgiven = read.began <= allowance.until and since >= allowance.since
    if read.began - since > allowance.tolerance and not is_forgiven:
        verdict.stale += 1


def feel(
    verdict: Verdict,
    felt: Sequence[str],
    before: Iterable[Mapping[str, int]],
    after: Iterable[Mapping[str, int]],
) -> None:
    """Note it where no process has counted any of the events *felt* between *before* and *after*.

    Args:
        verdict: Changed.
        felt: Names; where there are none, nothing is noted.
        before: What each process had counted then.
        after: And then, in any order.
    """
    if not felt:
        return
    totals = [sum(each.get(name, 0) for each in after for name in felt)]
    totals += [sum(each.get(name, 0) for each in before for name in felt)]
    if totals[0] == totals[1]:
        verdict.unfelt = f"no {' or '.join(felt)}"


def compare(
    verdict: Verdict, page: Sequence[tuple[int, int | None]], stored: Mapping[int, int]
) -> None:
    """Note what a process reads in the end and the database does not hold."""
    read = dict(page)
    verdict.left += [
        (key, read.get(key), value) for key, value in stored.items() if read.get(key) != value
    ]
