"""refcache_advise: what it measures on each database, and what it says."""

import gc
import json
import tracemalloc
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from refcache import ReferenceCache, references, sizes
from refcache.advice import Facts
from refcache.sizes import facts_of
from tests.integration.watching import rows_read, statements
from tests.restapp.models import Gadget
from tests.testapp.models import Company, Customer, Shelf

ALIASES = ["default", "mariadb", "sqlite"]

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "events"])

each_database = pytest.mark.parametrize(
    "alias",
    [
        pytest.param(
            alias, marks=pytest.mark.django_db(transaction=True, databases=["default", alias])
        )
        for alias in ALIASES
    ],
)


def make_customers(alias: str, number: int) -> None:
    company = Company.objects.using(alias).create(name="ACME", code="acme")
    Customer.objects.using(alias).bulk_create(
        Customer(name=f"Customer {n}", company_id=company.pk, is_active=n % 2 == 0)
        for n in range(number)
    )


def analyze(alias: str) -> None:
    table = connections[alias].ops.quote_name("testapp_customer")
    with connections[alias].cursor() as cursor:
        cursor.execute(f"ANALYZE {'' if alias != 'mariadb' else 'TABLE'} {table}")


def measured(registry: ReferenceCache, alias: str, **declared: Any) -> Facts:
    fields = declared.pop("fields", ["name", "tier"])
    registry.register("testapp.Customer", fields, name="measured", using=alias, **declared)
    return facts_of(registry["measured"].plan)


def advise(*arguments: str) -> str:
    out = StringIO()
    call_command("refcache_advise", *arguments, stdout=out)
    return out.getvalue()


@each_database
def test_few_rows_are_counted(registry: ReferenceCache, alias: str) -> None:
    make_customers(alias, 30)

    assert measured(registry, alias).rows == 30


@each_database
def test_rows_outside_the_filter_are_not(registry: ReferenceCache, alias: str) -> None:
    make_customers(alias, 30)

    assert measured(registry, alias, filter={"is_active": True}).rows == 15


@each_database
def test_the_size_of_the_table_is_told(registry: ReferenceCache, alias: str) -> None:
    make_customers(alias, 2_000)
    analyze(alias)

    found = measured(registry, alias).table_bytes

    assert found is not None
    assert 2_000 * 15 < found < 2_000 * 1_000


@each_database
def test_many_rows_are_estimated(
    registry: ReferenceCache, alias: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizes, "COUNTED", 100)
    make_customers(alias, 2_000)
    analyze(alias)

    with statements(alias) as sent:
        rows = measured(registry, alias).rows

    # InnoDB's own estimates, and rowids with gaps, are not exact.
    assert 1_000 <= rows <= 4_000
    assert not [sql for sql in sent if "COUNT(" in sql.upper()]


@each_database
def test_an_empty_table_is_no_error(registry: ReferenceCache, alias: str) -> None:
    facts = measured(registry, alias)

    assert (facts.rows, facts.row_bytes) == (0, 0)


def test_a_table_that_nobody_analyzed_is_counted_to_a_limit(
    registry: ReferenceCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizes, "COUNTED", 1_000_000)
    make_customers("default", 2_000)

    assert measured(registry, "default").rows == 2_000


def test_no_more_than_a_sample_is_loaded(registry: ReferenceCache) -> None:
    make_customers("default", 2_000)

    with rows_read() as counts:
        measured(registry, "default")

    assert max(counts) == sizes.SAMPLE


def test_the_memory_of_all_rows_is_about_what_they_take(registry: ReferenceCache) -> None:
    make_customers("default", 2_000)
    facts = measured(registry, "default", fields=["name", "tier", "email", "is_active"])

    made, rows = registry["measured"].plan.snapshot_type, Customer.objects.all()

    taken = held(
        lambda: {
            pk: made(pk, *values)
            for pk, *values in rows.values_list("pk", "name", "tier", "email", "is_active")
        }
    )

    assert facts.context_bytes == pytest.approx(taken, rel=0.3)


def test_spanned_fields_are_measured_as_well(registry: ReferenceCache) -> None:
    make_customers("default", 10)

    spanned = measured(registry, "default", fields=["name", "company__name"])

    assert spanned.row_bytes > 150


def test_composite_keys_are_measured_as_well(registry: ReferenceCache) -> None:
    Shelf.objects.create(hall="a", number=1, label="Left")
    registry.register("testapp.Shelf", ["label"], name="shelf")

    assert facts_of(registry["shelf"].plan).rows == 1


def test_the_report_has_a_line_and_a_reason_for_each() -> None:
    Gadget.objects.bulk_create(Gadget(serial=f"g{n}") for n in range(3))

    heading, line, _, reason = advise("gadget").splitlines()

    assert heading.split() == [
        "reference", "rows", "table", "a", "row", "all", "rows", "pattern",
    ]  # fmt: skip
    assert line.split()[:2] == ["gadget", "3"]
    assert line.endswith("  whole-table")
    assert reason.startswith("gadget: 3 rows are ")


def test_all_references_are_the_default() -> None:
    assert [each["reference"] for each in json.loads(advise("--json"))] == list(references)


def test_json_has_sizes_in_bytes() -> None:
    Gadget.objects.create(serial="g")

    (told,) = json.loads(advise("gadget", "--json"))

    assert told["rows"] == 1
    assert told["context_bytes"] == pytest.approx(told["row_bytes"], abs=1)
    assert told["table_bytes"] > 0
    assert told["patterns"] == ["whole-table"]
    assert told["reason"]


def test_a_relation_of_a_model_is_known() -> None:
    (told,) = json.loads(advise("client", "--json"))

    assert told["referrers"] == ["events"]


@pytest.mark.django_db(transaction=True, databases=["default", "sqlite"])
def test_a_proxy_has_the_columns_of_its_model(registry: ReferenceCache) -> None:
    make_customers("sqlite", 30)
    registry.register("testapp.VipCustomer", ["name"], name="vip", using="sqlite")

    assert facts_of(registry["vip"].plan).rows == 30


def test_an_unknown_name_is_told() -> None:
    with pytest.raises(
        CommandError, match=r"'gadgt' is not a registered reference .known: .*gadget"
    ):
        advise("gadgt")


def held(load: Callable[[], object]) -> int:
    """The bytes that the result takes."""
    load()  # What is made once is not counted.
    gc.collect()
    tracemalloc.start()
    try:
        result = load()
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        del result
        gc.collect()
        return before - tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
