"""Snapshots: immutable rows with a key, and placeholders where there is no row."""

import copy
import pickle
import subprocess
import sys

import pytest

from refcache.core.columns import Column
from refcache.core.containers import json_document
from refcache.core.exceptions import InvalidReference
from refcache.core.frozen import freeze
from refcache.core.scalars import DECIMAL, INT, TEXT
from refcache.core.snapshots import RESERVED_NAMES, Snapshot, placeholder, snapshot_type

COLUMNS = [
    Column("id", INT),
    Column("name", TEXT),
    Column("tier", TEXT),
    Column("company__name", TEXT),
]
Customer = snapshot_type("Customer", COLUMNS)
ANN = Customer(42, "Ann", "gold", "ACME")


def test_declared_fields_are_attributes_and_items() -> None:
    assert (ANN.name, ANN.tier, ANN.company__name) == ("Ann", "gold", "ACME")
    assert (ANN["name"], ANN["tier"], ANN["company__name"]) == ("Ann", "gold", "ACME")
    assert ANN.key == ANN["key"] == 42


def test_an_unknown_item_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(KeyError, match=r"no field 'nmae' \(known: key, name, tier, company__name"):
        ANN["nmae"]


def test_a_snapshot_knows_its_names_but_is_no_sequence() -> None:
    assert "name" in ANN
    assert "nmae" not in ANN
    with pytest.raises(TypeError):
        iter(ANN)  # type: ignore[call-overload]  # what the test is about


def test_as_dict_has_the_declared_fields_in_order_and_not_the_key() -> None:
    assert list(ANN.as_dict().items()) == [
        ("name", "Ann"),
        ("tier", "gold"),
        ("company__name", "ACME"),
    ]


def test_a_snapshot_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        ANN.name = "Bob"  # type: ignore[attr-defined]  # what the test is about
    with pytest.raises(AttributeError):
        ANN.other = 1  # type: ignore[attr-defined]  # as above


def test_snapshots_are_equal_by_value_key_and_name() -> None:
    same = snapshot_type("Customer", COLUMNS)(42, "Ann", "gold", "ACME")

    assert same == ANN
    assert not same != ANN  # noqa: SIM202 - != is a method of its own
    assert hash(same) == hash(ANN)
    assert Customer(43, "Ann", "gold", "ACME") != ANN
    assert Customer(42, "Bob", "gold", "ACME") != ANN
    assert snapshot_type("Device", COLUMNS)(42, "Ann", "gold", "ACME") != ANN
    assert snapshot_type("Customer", COLUMNS[:-1])(42, "Ann", "gold") != ANN
    assert ANN != (42, "Ann", "gold", "ACME")


def test_a_snapshot_is_hashable_where_its_values_are() -> None:
    holder = snapshot_type("Holder", [Column("id", INT), Column("extra", json_document())])

    assert {holder(1, "text")} == {holder(1, "text")}
    with pytest.raises(TypeError, match="unhashable"):
        hash(holder(1, freeze({"a": 1})))


def test_a_snapshot_is_true_and_readable() -> None:
    assert ANN
    assert not ANN.is_placeholder
    assert repr(ANN) == "Customer(key=42, name='Ann', tier='gold', company__name='ACME')"


def test_a_placeholder_is_false_and_fills_up_with_none() -> None:
    lazy = object()

    unknown = placeholder(Customer, 9, {"name": lazy})

    assert not unknown
    assert unknown.is_placeholder
    assert isinstance(unknown, Customer)
    assert (unknown.key, unknown.tier, unknown["company__name"]) == (9, None, None)
    assert unknown.name is lazy
    assert repr(placeholder(Customer, 9, {"name": "?"})) == (
        "<placeholder Customer(key=9, name='?', tier=None, company__name=None)>"
    )


def test_a_placeholder_never_equals_a_row() -> None:
    row = Customer(9, "?", None, None)

    unknown = placeholder(Customer, 9, {"name": "?"})

    assert unknown != row
    assert row != unknown
    assert not unknown == row  # noqa: SIM201 - == is a method of its own
    assert unknown == placeholder(Customer, 9, {"name": "?"})


@pytest.mark.parametrize("name", ["nmae", "key"])
def test_a_placeholder_with_an_unknown_field_is_an_error(name: str) -> None:
    with pytest.raises(InvalidReference, match=rf"'{name}'.*known: name, tier, company__name"):
        placeholder(Customer, 9, {name: "?"})


@pytest.mark.parametrize("is_placeholder", [False, True])
def test_pickle_and_copy_give_an_equal_snapshot(*, is_placeholder: bool) -> None:
    of = snapshot_type("Copied", COLUMNS)
    snapshot = placeholder(of, 9, {}) if is_placeholder else of(9, "Ann", None, None)
    pickled = pickle.loads(pickle.dumps(snapshot))  # noqa: S301 - our own bytes

    for back in (pickled, copy.copy(snapshot), copy.deepcopy(snapshot)):
        assert back == snapshot
        assert back.is_placeholder == snapshot.is_placeholder
        assert isinstance(back, of)


def test_a_snapshot_from_another_process_equals_one_of_a_reference_registered_later() -> None:
    program = (
        "import pickle, sys\n"
        "from refcache.core.columns import Column\n"
        "from refcache.core.scalars import INT, DECIMAL\n"
        "from refcache.core.snapshots import snapshot_type\n"
        "early = pickle.loads(sys.stdin.buffer.read())\n"
        "of = snapshot_type('Priced', [Column('id', INT), Column('price', DECIMAL)])\n"
        "assert type(early) is not of\n"
        "assert early == of(1, 2) and hash(early) == hash(of(1, 2)), early\n"
    )
    priced = snapshot_type("Priced", [Column("id", INT), Column("price", DECIMAL)])

    subprocess.run([sys.executable, "-c", program], input=pickle.dumps(priced(1, 2)), check=True)


@pytest.mark.parametrize("name", sorted(RESERVED_NAMES))
def test_a_reserved_name_cannot_be_a_field(name: str) -> None:
    with pytest.raises(InvalidReference, match=f"cannot have a field '{name}'"):
        snapshot_type("Customer", [Column("id", INT), Column(name, TEXT)])


def test_every_public_name_of_a_snapshot_is_reserved() -> None:
    assert {name for name in dir(Snapshot) if not name.startswith("_")} == RESERVED_NAMES


def test_a_field_cannot_be_declared_twice() -> None:
    with pytest.raises(InvalidReference, match="twice"):
        snapshot_type("Customer", [Column("id", INT), Column("name", TEXT), Column("name", TEXT)])
