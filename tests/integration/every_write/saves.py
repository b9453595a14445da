"""Writes that Django's signals tell of: saves, deletes, and what they carry with them."""

import json
import tempfile
from pathlib import Path

from django.core import serializers
from django.core.management import call_command

from tests.integration.every_write.models import Club, Hobby, Member, Owner, Pet
from tests.integration.every_write.scenes import UNUSED_KEY, Scene, Writer, ann_and_bob
from tests.testapp.models import Cafe, Company, Customer, Meter, Place, Shelf, VipCustomer


def save(_: Writer) -> Scene:
    ann, bob = ann_and_bob()
    ann.name = "Anna"
    return Scene("customer", ann.pk, "Ann", "Anna", ann.save, bob.pk)


def save_some(_: Writer) -> Scene:
    ann, bob = ann_and_bob()
    ann.name = "Anna"

    def write() -> None:
        ann.save(update_fields=["name"])

    return Scene("customer", ann.pk, "Ann", "Anna", write, bob.pk)


def save_others(_: Writer) -> Scene:
    ann, bob = ann_and_bob()
    ann.tier = "gold"

    def write() -> None:
        ann.save(update_fields=["tier"])

    return Scene("customer", ann.pk, "Ann", "Ann", write, bob.pk)


def save_proxy(_: Writer) -> Scene:
    ann, bob = ann_and_bob()

    def write() -> None:
        vip = VipCustomer.objects.get(pk=ann.pk)
        vip.name = "Anna"
        vip.save()

    return Scene("customer", ann.pk, "Ann", "Anna", write, bob.pk)


def create(_: Writer) -> Scene:
    bob = ann_and_bob()[1]

    def write() -> None:
        Customer.objects.create(pk=UNUSED_KEY, name="New")

    return Scene("customer", UNUSED_KEY, None, "New", write, bob.pk)


def create_numbered(_: Writer) -> Scene:
    bob = ann_and_bob()[1]

    def write() -> None:
        assert Customer.objects.create(name="New").pk == bob.pk + 1

    return Scene("customer", bob.pk + 1, None, "New", write, bob.pk)


def update_or_create(_: Writer) -> Scene:
    ann, bob = ann_and_bob()

    def write() -> None:
        Customer.objects.update_or_create(email="ann@x.org", defaults={"name": "Anna"})

    return Scene("customer", ann.pk, "Ann", "Anna", write, bob.pk)


def get_or_create(_: Writer) -> Scene:
    ann_and_bob()

    def write() -> None:
        Customer.objects.get_or_create(email="new@x.org", defaults={"name": "New"})

    return Scene("mail", "new@x.org", None, "New", write, "bob@x.org")


def delete(_: Writer) -> Scene:
    ann, bob = ann_and_bob()
    return Scene("customer", ann.pk, "Ann", None, ann.delete, bob.pk)


def delete_some(writer: Writer) -> Scene:
    ann, bob = ann_and_bob()
    rows = writer.rows(Customer).filter(name="Ann")
    return Scene("customer", ann.pk, "Ann", None, rows.delete, bob.pk)


def cascade(_: Writer) -> Scene:
    acme = Company.objects.create(name="Acme", code="acme")
    ann, bob = ann_and_bob(company_code=acme)
    return Scene("customer", ann.pk, "Ann", None, acme.delete, bob.pk)


def set_null(writer: Writer) -> Scene:
    if writer.is_precise:
        ann, bob = members()
        assert ann.club is not None
        return Scene("membership", ann.pk, "Acme", None, ann.club.delete, bob.pk)
    ann_, bob_ = employees()
    assert ann_.company is not None
    return Scene("employer", ann_.pk, "Acme", None, ann_.company.delete, bob_.pk)


def database_cascade(_: Writer) -> Scene:
    owner, other = Owner.objects.create(name="Ann"), Owner.objects.create(name="Bob")
    rex = Pet.objects.create(name="Rex", owner=owner)
    pip = Pet.objects.create(name="Pip", owner=other)
    return Scene("pet", rex.pk, "Rex", None, owner.delete, pip.pk)


def many_to_many(_: Writer) -> Scene:
    ann, bob = members()
    chess, golf = Hobby.objects.create(name="chess"), Hobby.objects.create(name="golf")

    def write() -> None:
        ann.hobbies.add(chess)
        ann.hobbies.remove(chess)
        ann.hobbies.set([golf])
        ann.hobbies.clear()
        golf.member_set.add(ann)

    return Scene("member", ann.pk, "Ann", "Ann", write, bob.pk)


def parent_saved(_: Writer) -> Scene:
    cafe, other = Cafe.objects.create(name="old", seats=1), Cafe.objects.create(name="x", seats=1)

    def write() -> None:
        place = Place.objects.get(pk=cafe.pk)
        place.name = "new"
        place.save()

    return Scene("cafe", cafe.pk, "old", "new", write, other.pk)


def parent_updated(_: Writer) -> Scene:
    cafe, other = Cafe.objects.create(name="old", seats=1), Cafe.objects.create(name="x", seats=1)

    def write() -> None:
        Place.objects.filter(pk=cafe.pk).update(name="new")

    return Scene("cafe", cafe.pk, "old", "new", write, other.pk)


def child_saved(_: Writer) -> Scene:
    cafe, other = Cafe.objects.create(name="old", seats=1), Cafe.objects.create(name="x", seats=1)
    cafe.name = "new"
    return Scene("place", cafe.pk, "old", "new", cafe.save, other.pk)


def child_deleted(_: Writer) -> Scene:
    cafe, other = Cafe.objects.create(name="old", seats=1), Cafe.objects.create(name="x", seats=1)
    return Scene("place", cafe.pk, "old", None, cafe.delete, other.pk)


def updated_through_child(writer: Writer) -> Scene:
    cafe, other = Cafe.objects.create(name="old", seats=1), Cafe.objects.create(name="x", seats=9)

    def write() -> None:
        writer.rows(Cafe).filter(seats=1).update(name="new")

    return Scene("place", cafe.pk, "old", "new", write, other.pk)


def serialized(key: int) -> str:
    fields = {"name": "Anna", "tier": "basic", "email": "ann@x.org", "is_active": True}
    row = {"model": "testapp.customer", "pk": key, "fields": fields}
    return json.dumps([row])


def loaddata(writer: Writer) -> Scene:
    ann, bob = ann_and_bob()

    def write() -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "rows.json"
            file.write_text(serialized(ann.pk))
            call_command("loaddata", str(file), database=writer.alias, verbosity=0)

    return Scene("customer", ann.pk, "Ann", "Anna", write, bob.pk)


def deserialize(writer: Writer) -> Scene:
    ann, bob = ann_and_bob()

    def write() -> None:
        for each in serializers.deserialize("json", serialized(ann.pk), using=writer.alias):
            each.save(using=writer.alias)

    return Scene("customer", ann.pk, "Ann", "Anna", write, bob.pk)


def key_taken(_: Writer) -> Scene:
    ann, _bob = ann_and_bob()
    ann.email = "new@x.org"
    return Scene("mail", "new@x.org", None, "Ann", ann.save, "bob@x.org")


def key_left(_: Writer) -> Scene:
    ann, _bob = ann_and_bob()
    ann.email = "new@x.org"
    return Scene("mail", "ann@x.org", "Ann", None, ann.save, "bob@x.org")


def composite_saved(_: Writer) -> Scene:
    shelf = Shelf.objects.create(hall="A", number=1, label="old")
    Shelf.objects.create(hall="A", number=2, label="x")
    shelf.label = "new"
    return Scene("shelf", ("A", 1), "old", "new", shelf.save, ("A", 2))


def composite_deleted(_: Writer) -> Scene:
    shelf = Shelf.objects.create(hall="A", number=1, label="old")
    Shelf.objects.create(hall="A", number=2, label="x")
    return Scene("shelf", ("A", 1), "old", None, shelf.delete, ("A", 2))


def composite_updated(writer: Writer) -> Scene:
    Shelf.objects.create(hall="A", number=1, label="old")
    Shelf.objects.create(hall="A", number=2, label="x")

    def write() -> None:
        writer.rows(Shelf).filter(pk=("A", 1)).update(label="new")

    return Scene("shelf", ("A", 1), "old", "new", write, ("A", 2))


def composite_key_taken(_: Writer) -> Scene:
    meter = Meter.objects.create(site="north", number=1, unit="kWh")
    Meter.objects.create(site="north", number=2, unit="m3")
    meter.site = "south"
    return Scene("meter", ("south", 1), None, "kWh", meter.save, ("north", 2))


def composite_key_taken_in_part(_: Writer) -> Scene:
    meter = Meter.objects.create(site="north", number=1, unit="kWh")
    Meter.objects.create(site="north", number=2, unit="m3")
    meter.site = "south"

    def write() -> None:
        meter.save(update_fields=["site"])

    return Scene("meter", ("south", 1), None, "kWh", write, ("north", 2))


def filter_left(_: Writer) -> Scene:
    ann, bob = ann_and_bob()
    ann.is_active = False
    return Scene("active", ann.pk, "Ann", None, ann.save, bob.pk)


def filter_entered(_: Writer) -> Scene:
    ann, bob = ann_and_bob(is_active=False)
    ann.is_active = True
    return Scene("active", ann.pk, None, "Ann", ann.save, bob.pk)


def renamed(_: Writer) -> Scene:
    ann, bob = employees()
    assert ann.company is not None
    ann.company.name = "Acme Ltd"
    return Scene("employer", ann.pk, "Acme", "Acme Ltd", ann.company.save, bob.pk)


def moved(_: Writer) -> Scene:
    ann, bob = employees()
    ann.company = bob.company
    return Scene("employer", ann.pk, "Acme", "Brno", ann.save, bob.pk)


def employees() -> tuple[Customer, Customer]:
    """A customer in a company of her own, and another in his."""
    acme = Company.objects.create(name="Acme", code="acme")
    brno = Company.objects.create(name="Brno", code="brno")
    ann, bob = ann_and_bob(company=acme)
    bob.company = brno
    bob.save()
    return ann, bob


def members() -> tuple[Member, Member]:
    """The same, of a model with a `ReferenceManager`."""
    acme, brno = Club.objects.create(name="Acme"), Club.objects.create(name="Brno")
    ann = Member.objects.create(name="Ann", club=acme)
    return ann, Member.objects.create(name="Bob", club=brno)
