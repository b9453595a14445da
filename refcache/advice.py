"""Which pattern fits a reference, judged by what was measured of it; see docs/patterns.md."""

from dataclasses import dataclass

# The first is the rule of the article that refcache began with. Up to the second, a page that loads
# all rows was measured to take a tenth of the naive one, less than twice what its own rows take.
CONTEXT_LIMIT_BYTES = 10_000_000
WHOLE_TABLE_ROWS = 1_000
SELDOM = 0.1  # changes per row, since the database has counted them

PAGE = 100  # rows, as everywhere in docs/patterns.md

UNITS = (("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000))


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one reference's rows.

    Args:
        reference: Its name.
        alias: The database that it loads from.
        rows: How many there are; an estimate where there are many.
        table_bytes: On the disk, with indexes; None: not known.
        row_bytes: One row in this process, as a snapshot in a dictionary: the average of a sample.
        changes: Rows updated or deleted as far back as the database has counted; None: not known.
        conditions: The fields that `where=[…]` declares.
        referrers: The databases of models that have a `ReferenceTo` it.
        databases: All databases of the project, without the replica that it is filled from.
    """

    reference: str
    alias: str
    rows: int
    table_bytes: int | None
    row_bytes: float
    changes: int | None = None
    conditions: tuple[str, ...] = ()
    referrers: frozenset[str] = frozenset()
    databases: frozenset[str] = frozenset()

    @property
    def context_bytes(self) -> int:
        """All rows in one dictionary: what a whole-table context holds for each request."""
        return round(self.rows * self.row_bytes)


@dataclass(frozen=True, slots=True)
class Advice:
    """The patterns that go together, as docs/patterns.md names them, and a sentence on why."""

    patterns: tuple[str, ...]
    reason: str


def advise(facts: Facts) -> Advice:
    """The pattern that fits."""
    if (facts.referrers or facts.databases) == {facts.alias}:
        return Advice(
            ("select_related",),
            f"All who refer to it are in {facts.alias!r} as well: a foreign key and a join do it.",
        )
    pattern, reason = _for_rows(facts)
    if not facts.conditions:
        return Advice((pattern,), f"{reason}.")
    fields = ", ".join(facts.conditions)
    return Advice(
        (pattern, "keys-where"),
        f"{reason}; conditions on {fields} go into the other query by keys_where(), before it is "
        "paginated.",
    )


def _for_rows(facts: Facts) -> tuple[str, str]:
    """A pattern, and its reason as a sentence without its end."""
    own = "reference-descriptor" if facts.referrers else "reference-field"
    if not facts.rows:
        return own, "It has no rows yet, so that nothing could be measured: ask again later"
    everything = f"{facts.rows:,} rows are {size(facts.context_bytes)}"
    if facts.context_bytes > CONTEXT_LIMIT_BYTES:
        limit = size(CONTEXT_LIMIT_BYTES)
        return own, f"{everything}, too many for a context in each request (the {limit} rule)"
    if facts.rows > WHOLE_TABLE_ROWS:
        return own, f"{everything}: a context could hold them, but a page needs {PAGE} at most"
    return "whole-table", f"{everything}, which may be loaded in each request{_kept(facts)}"


def _kept(facts: Facts) -> str:
    """Whether they may be kept for longer, as far as that is known."""
    if facts.changes is None:
        return ""
    if facts.changes > SELDOM * facts.rows:
        return f", and not be kept for longer: there have been {facts.changes:,} changes"
    return "; they seldom change, so a cached blob may hold them where its TTL does no harm"


def size(number: float) -> str:
    """As people say it: `12.3 MB`."""
    for unit, factor in UNITS:
        if number >= factor:
            return f"{number / factor:.1f} {unit}".replace(".0 ", " ")
    return f"{number:.0f} B"
