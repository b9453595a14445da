"""From declarations to what is read, stored and watched. No query is sent."""

from typing import Any

import pytest

from refcache import InvalidReference, Staleness
from refcache.declaration import Declaration
from refcache.reading.drafting import plan_all
from refcache.reading.planning import Plans
from tests.testapp.models import Cafe, Company, Country, Customer, Place, VipCustomer


def declaration(label: str, *fields: str, **rest: Any) -> Declaration:
    name = rest.pop("name", label.rpartition(".")[2].lower())
    return Declaration(label, name, fields, **rest)


def plans(*declarations: Declaration) -> Plans:
    made = plan_all(declarations, b"p:")
    assert made.errors == {}
    return made


def schema(**changes: Any) -> bytes:
    """The schema of one declaration with *changes*."""
    given: dict[str, Any] = {"label": "testapp.Customer", "fields": ("name",), "name": "it"}
    return plans(Declaration(**given | changes)).plans["it"].node.rows.schema


def columns(made: Plans, reference: str) -> tuple[str, ...]:
    """What is read of the rows that begin with *reference*."""
    plan = made.plans[reference]
    names: tuple[str, ...] = plan.node.rows.origin.columns
    return names


def test_a_plain_row_is_read_as_it_is_declared() -> None:
    made = plans(declaration("testapp.Customer", "tier", "name"))

    assert columns(made, "customer") == ("tier", "name")
    assert made.plans["customer"].node.build is None
    assert [each.name for each in made.plans["customer"].columns] == ["tier", "name"]


def test_a_row_by_another_key_is_read_with_that_key() -> None:
    made = plans(declaration("testapp.Meter", "unit", key=("site", "number")))

    assert columns(made, "meter") == ("unit", "site", "number")
    index = made.plans["meter"].node.index
    assert index is not None
    assert (index.index, index.origin.columns) == (("site", "number"), ())


@pytest.mark.parametrize("key", ["pk", "id"])
def test_the_primary_key_needs_no_index(key: str) -> None:
    made = plans(declaration("testapp.Customer", "name", key=(key,)))

    assert made.plans["customer"].node.index is None


def test_a_spanned_row_is_a_source_that_references_share() -> None:
    made = plans(
        declaration("testapp.Customer", "name", "company__name", name="a", ttl=300.0),
        declaration("testapp.Customer", "company__code", name="b", ttl=60.0, negative_ttl=7.0),
    )

    (one,), (other,) = made.plans["a"].node.spans, made.plans["b"].node.spans
    assert one.node.rows is other.node.rows
    assert one.node.rows.origin.columns == ("code", "name")
    assert (one.node.rows.ttl, one.node.rows.negative_ttl) == (60.0, 7.0)
    assert one.node.rows.family.reference == "~testapp.company"


def test_a_spanned_row_is_kept_as_long_as_the_most_tolerant_asks() -> None:
    made = plans(
        declaration("testapp.Customer", "company__name", name="a", staleness=Staleness(if_error=9)),
        declaration("testapp.Customer", "company__name", name="b"),
    )

    (span,) = made.plans["a"].node.spans
    assert span.node.rows.tolerance == 9.0


def test_references_of_other_aliases_do_not_share() -> None:
    made = plans(
        declaration("testapp.Customer", "company__name", name="a"),
        declaration("testapp.Customer", "company__name", name="b", using="events"),
    )

    (one,), (other,) = made.plans["a"].node.spans, made.plans["b"].node.spans
    assert one.node.rows.family != other.node.rows.family
    assert other.node.rows.origin.alias == "events"


def test_a_relation_to_another_field_goes_by_an_index() -> None:
    made = plans(declaration("testapp.Customer", "company_code__name"))

    (span,) = made.plans["customer"].node.spans
    assert span.node.index is not None
    assert span.node.index.index == ("code",)


def test_each_source_is_watched_with_the_columns_it_depends_on() -> None:
    made = plans(
        declaration("testapp.Customer", "name", "company__country__name", filter={"is_active": 1}),
    )

    watched = {watch.model: set(watch.columns or ()) for watch in made.watches}
    assert watched == {
        Customer: {"id", "name", "company", "company_id", "is_active"},
        Company: {"id", "country", "country_id"},
        Country: {"id", "name"},
    }


def test_a_proxy_is_watched_as_what_it_stands_for() -> None:
    (watch,) = plans(declaration("testapp.VipCustomer", "name")).watches

    assert VipCustomer._meta.proxy
    assert watch.model is Customer


def test_a_childs_columns_may_be_its_parents() -> None:
    made = plans(declaration("testapp.Cafe", "name", "seats"))

    (watch,) = made.watches
    assert watch.model is Cafe
    assert columns(made, "cafe") == ("name", "seats")
    assert not issubclass(Place, Cafe)


def test_the_order_of_registration_does_not_matter() -> None:
    one = declaration("testapp.Customer", "name", "company__name", name="a")
    other = declaration("testapp.Customer", "company__country__name", name="b")

    schemas = [
        {
            name: (plan.node.rows.schema, plan.node.spans[0].node.rows.schema)
            for name, plan in plans(*order).plans.items()
        }
        for order in ([one, other], [other, one])
    ]

    assert schemas[0] == schemas[1]


@pytest.mark.parametrize(
    "change",
    [
        {"fields": ("tier",)},
        {"fields": ("name", "tier")},
        {"fields": ("name", "company__name")},
        {"version": 2},
        {"filter": {"is_active": True}},
        {"filter": {"is_active": False}},
        {"using": "events"},
        {"key": ("email",)},
        {"label": "testapp.VipCustomer"},
        {"label": "testapp.Currency"},
    ],
    ids=str,
)
def test_what_changes_an_entrys_meaning_changes_its_schema(change: dict[str, Any]) -> None:
    assert schema(**change) != schema()


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"ttl": 5.0},
        {"negative_ttl": 5.0},
        {"staleness": Staleness(if_error=9)},
        {"missing": lambda _: {}},
    ],
    ids="".join,
)
def test_what_does_not_change_an_entrys_meaning_leaves_its_schema(change: dict[str, Any]) -> None:
    assert schema(**change) == schema()


def test_keys_begin_with_the_prefix_and_the_name() -> None:
    rows = plans(declaration("testapp.Customer", "name")).plans["customer"].node.rows

    (entry_key,) = rows.entry_keys([7])
    assert entry_key.startswith(b"p:customer:1:")
    assert entry_key.endswith(b":7")
    assert rows.epoch_key == b"p:customer:epoch"


def test_an_error_is_its_own_references_alone() -> None:
    made = plan_all(
        [
            declaration("testapp.Customer", "name", name="good"),
            declaration("testapp.Customer", "nope", name="bad"),
            declaration("testapp.Customer", "company__nope", name="worse"),
        ],
        b"p:",
    )

    assert made.plans.keys() == {"good"}
    assert made.errors.keys() == {"bad", "worse"}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"fields": ("nope",)}, r"no field 'nope' \(known: id, name, "),
        ({"fields": ("company__nope",)}, r"testapp.Company has no field 'nope'"),
        ({"fields": ("name__upper",)}, "testapp.Customer.name is no relation"),
        ({"fields": ("orderevent",)}, "no field 'orderevent'"),
        ({"label": "testapp.Company", "fields": ("by_code",)}, "by_code is no column"),
        ({"label": "testapp.Company", "fields": ("by_code__name",)}, "by_code is no column"),
        ({"label": "testapp.Nope"}, "'testapp.Nope', which is no installed model"),
        ({"label": "nope"}, "'nope', which is no installed model"),
        ({"key": ("tier",)}, "tier does not identify a row of testapp.Customer"),
        ({"key": ("email", "tier")}, "email, tier does not identify a row"),
        ({"key": ("nope",)}, "Key of reference 'it': .* no field 'nope'"),
        ({"label": "testapp.Shelf", "fields": ("pk",)}, "composite primary key: name its fields"),
        ({"using": "nope"}, r"using='nope' is no alias of DATABASES \(known: default, events, "),
        ({"filter": {"company__name": "x"}}, "reads another model"),
        ({"filter": {"nope": 1}}, "no field 'nope'"),
        ({"filter": {"name__nope": 1}}, "name has no lookup 'nope'"),
        ({"label": "testapp.Offer", "fields": ("words",)}, "cannot be cached exactly"),
        ({"label": "testapp.Offer", "fields": ("key",)}, "cannot have a field 'key'"),
        ({"fields": ("name", "name")}, "declares a field twice"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_what_is_wrong_is_said(wrong: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"label": "testapp.Customer", "fields": ("name",), "name": "it"}

    errors = plan_all([Declaration(**given | wrong)], b"").errors

    with pytest.raises(InvalidReference, match=message):
        raise errors["it"]


@pytest.mark.parametrize(
    "lookups",
    [
        {"company": 7},
        {"company_id": 7},
        {"company__isnull": True},
        {"company__in": [7]},
        {"name__startswith": "A"},
        {"pk__gt": 5},
    ],
    ids=str,
)
def test_a_filter_may_use_the_rows_own_columns(lookups: dict[str, Any]) -> None:
    plans(declaration("testapp.Customer", "name", filter=lookups))
