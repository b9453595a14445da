"""Which pattern is advised."""

from dataclasses import replace

import pytest

from refcache.advice import CONTEXT_LIMIT_BYTES, Facts, advise, size

FACTS = Facts(
    reference="customer",
    alias="default",
    rows=100_000,
    table_bytes=20_000_000,
    row_bytes=300,
    databases=frozenset({"default", "events"}),
)
SMALL = replace(FACTS, rows=1_000)


def test_many_rows_break_the_rule_of_10_mb() -> None:
    advice = advise(FACTS)

    assert advice.patterns == ("reference-field",)
    assert advice.reason == (
        "100,000 rows are 30 MB, too many for a context in each request (the 10 MB rule)."
    )


@pytest.mark.parametrize(("row_bytes", "breaks"), [(100, False), (100.1, True)])
def test_the_rule_is_of_bytes(row_bytes: float, breaks: bool) -> None:  # noqa: FBT001 - a parameter
    facts = replace(FACTS, row_bytes=row_bytes)

    assert (facts.context_bytes > CONTEXT_LIMIT_BYTES) is breaks
    assert ("rule" in advise(facts).reason) is breaks


def test_a_page_needs_less_than_what_the_rule_allows() -> None:
    advice = advise(replace(FACTS, rows=10_000))

    assert advice.patterns == ("reference-field",)
    assert "3 MB: a context could hold them, but a page needs 100 at most" in advice.reason


def test_few_rows_may_be_loaded_whole() -> None:
    advice = advise(SMALL)

    assert advice.patterns == ("whole-table",)
    assert advice.reason == "1,000 rows are 300 kB, which may be loaded in each request."


def test_few_rows_that_are_big_break_the_rule_as_well() -> None:
    assert advise(replace(SMALL, row_bytes=20_000)).patterns == ("reference-field",)


def test_few_rows_that_seldom_change_may_be_kept() -> None:
    assert "a cached blob may hold them" in advise(replace(SMALL, changes=100)).reason
    assert "not be kept for longer: there have been 101 changes" in (
        advise(replace(SMALL, changes=101)).reason
    )


def test_conditions_go_before_pagination() -> None:
    advice = advise(replace(FACTS, conditions=("tier", "company")))

    assert advice.patterns == ("reference-field", "keys-where")
    assert "conditions on tier, company go into the other query by keys_where()" in advice.reason


def test_models_with_a_relation_read_it() -> None:
    assert advise(replace(FACTS, referrers=frozenset({"events"}))).patterns == (
        "reference-descriptor",
    )


@pytest.mark.parametrize(
    "facts",
    [
        replace(FACTS, databases=frozenset({"default"})),
        replace(FACTS, referrers=frozenset({"default"})),
    ],
)
def test_within_one_database_it_is_joined(facts: Facts) -> None:
    assert advise(facts).patterns == ("select_related",)


def test_referrers_in_both_databases_are_no_single_one() -> None:
    both = replace(FACTS, referrers=frozenset({"default", "events"}))

    assert advise(both).patterns == ("reference-descriptor",)


def test_an_empty_table_tells_nothing() -> None:
    advice = advise(replace(FACTS, rows=0, row_bytes=0.0))

    assert advice.patterns == ("reference-field",)
    assert "no rows yet" in advice.reason


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 B"), (999, "999 B"), (1_000, "1 kB"), (12_340_000, "12.3 MB"), (5e9, "5 GB")],
)
def test_sizes_are_said_as_people_do(number: float, text: str) -> None:
    assert size(number) == text
