"""What a run prints in the end, and whether it has failed."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, quantiles

from rich.console import Console
from rich.table import Table

from tests.real.figures import Agreement, Counts
from tests.real.options import Options
from tests.real.readers import Told

SHOWN = 10  # of what reads were wrong


@dataclass(frozen=True, slots=True)
class Report:
    """All that a run has found out."""

    options: Options
    told: Told
    counts: Counts
    agreements: Sequence[Agreement]
    commits: dict[str, int]
    source: str

    @property
    def failures(self) -> list[str]:
        """What was wrong; nothing may be, and something must have been looked at."""
        told, counted = self.told, self.told.counted
        found = told.troubles[:SHOWN]
        if hidden := counted["troubles"] - len(found):
            found.append(f"and {hidden} more of these")
        found += [
            f"nothing was compared that {writer} had written"
            for writer in self.commits
            if not counted[writer]
        ]
        found += [
            f"{each.what}: the programs have counted {each.programs}, the servers {each.servers}"
            for each in self.agreements
            if not each.holds
        ]
        if max(self.counts.lags, default=0.0) > self.options.bound:
            found.append(f"the relay took longer than {self.options.bound:g} s")
        return found

    def print(self, console: Console) -> None:
        console.print(self._load(), self._queries())
        for each in self.failures:
            console.print(each, style="red", highlight=False, markup=False)

    def _load(self) -> Table:
        told, counted = self.told, self.told.counted
        milliseconds = [seconds * 1000 for seconds in told.seconds] * 2  # p99 of one is that one
        lags = [lag * 1000 for lag in self.counts.lags]
        table = Table(title=f"{self.options.seconds:g} s, seed {self.options.seed}")
        table.add_column(no_wrap=True)
        table.add_column(justify="right")
        rows: dict[str, object] = {
            "pages of 100 rows": counted["pages"],
            "pages per second": f"{counted['pages'] / self.options.seconds:.1f}",
            "latency, median": _ms(median(milliseconds) if milliseconds else None),
            "latency, 99 %": _ms(quantiles(milliseconds, n=100)[98] if milliseconds else None),
            **{f"commits, {writer}": number for writer, number in self.commits.items()},
            **{f"rows compared, {writer}": counted[writer] for writer in self.commits},
            "stale reads": counted["stale"],
            "relay's lag, median": _ms(median(lags) if lags else None),
            "relay's lag, worst": _ms(max(lags, default=None)),
            "longest that a read missed an outside commit": _ms(told.oldest * 1000),
        }
        for what, value in rows.items():
            table.add_row(what, str(value))
        return table

    def _queries(self) -> Table:
        table = Table(title="Counted twice", caption=f"databases: {self.source}; Redis: INFO")
        table.add_column(no_wrap=True)
        for heading in ("by the\nprograms", "by the\nservers", "per\npage"):
            table.add_column(heading, justify="right", no_wrap=True)
        for each in self.agreements:
            style = None if each.holds else "red"
            numbers = (str(each.programs), str(each.servers), self._per_page(each))
            table.add_row(each.what, *numbers, style=style)
        return table

    def _per_page(self, each: Agreement) -> str:
        pages = self.told.counted["pages"]
        return f"{each.of_web / pages:.3f}" if pages and each.of_web is not None else ""


def _ms(value: float | None) -> str:
    return "none" if value is None else f"{value:.1f} ms"
