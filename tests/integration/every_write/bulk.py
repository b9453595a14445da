"""Writes that no signal tells of, through Django's querysets and relations."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db.models import F, Value
from django.db.models.expressions import RawSQL
from django.db.models.functions import Concat, Upper
from django.test import override_settings

from tests.integration.every_write.models import Club
from tests.integration.every_write.saves import employees, members
from tests.integration.every_write.scenes import UNUSED_KEY, Scene, Writer, ann_and_bob
from tests.testapp.models import Company, Currency, Customer, Device

ANN = "5f0c1d52-1f0b-4c57-8f3c-0d6a8f3f6b11"
BOB = "5f0c1d52-1f0b-4c57-8f3c-0d6a8f3f6b22"


def updating(condition: dict[str, Any], after: str, **values: Any) -> Callable[[Writer], Scene]:
    """An `update()` of Ann."""

    def arrange(writer: Writer) -> Scene:
        ann, bob = employees()
        wanted = {name: ann.pk if value is F else value for name, value in condition.items()}

        def write() -> None:
            assert writer.rows(Customer).filter(**wanted).update(**values) == 1

        return Scene("customer", ann.pk, "Ann", after, write, bob.pk)

    return arrange


by_key = updating({"pk": F}, "Anna", name="Anna")
by_condition = updating({"name": "Ann"}, "Anna", name="Anna")
by_other_column = updating({"name": "Ann"}, "Ann", tier="gold")
with_expression = updating({"pk": F}, "Ann!", name=Concat(F("name"), Value("!")))
with_join = updating({"company__name": "Acme"}, "ANN", name=Upper("name"))
with_raw_sql = updating({"pk": F}, "ANN", name=RawSQL("upper(name)", []))


def of_text_key(writer: Writer) -> Scene:
    Currency.objects.create(code="CHF", name="old")
    Currency.objects.create(code="SEK", name="x")

    def write() -> None:
        writer.rows(Currency).filter(pk="CHF").update(name="new")

    return Scene("currency", "CHF", "old", "new", write, "SEK")


def of_uuid_key(writer: Writer) -> Scene:
    Device.objects.create(pk=ANN, serial="old")
    Device.objects.create(pk=BOB, serial="x")

    def write() -> None:
        writer.rows(Device).filter(pk=ANN).update(serial="new")

    return Scene("device", ANN, "old", "new", write, BOB)


def of_key(writer: Writer) -> Scene:
    ann_and_bob()

    def write() -> None:
        writer.rows(Customer).filter(email="ann@x.org").update(email="new@x.org")

    return Scene("mail", "new@x.org", None, "Ann", write, "bob@x.org")


def beyond_limit(writer: Writer) -> Scene:
    ann, bob = ann_and_bob()
    Customer.objects.create(name="Ann")
    limited = {**settings.REFCACHE, "BULK_LIMIT": 1}
    writer.lasting.enter_context(override_settings(REFCACHE=limited))

    def write() -> None:
        writer.rows(Customer).filter(name="Ann").update(name="Anna")

    return Scene("customer", ann.pk, "Ann", "Anna", write, bob.pk)


def bulk_create(writer: Writer) -> Scene:
    bob = ann_and_bob()[1]

    def write() -> None:
        writer.rows(Customer).bulk_create([Customer(pk=UNUSED_KEY, name="New")])

    return Scene("customer", UNUSED_KEY, None, "New", write, bob.pk)


def bulk_create_numbered(writer: Writer) -> Scene:
    bob = ann_and_bob()[1]

    def write() -> None:
        writer.rows(Customer).bulk_create([Customer(name="New")])

    return Scene("customer", bob.pk + 1, None, "New", write, bob.pk)


def upsert(writer: Writer) -> Scene:
    ann, bob = ann_and_bob()
    unique: dict[str, Any] = {} if writer.vendor == "mysql" else {"unique_fields": ["pk"]}

    def write() -> None:
        changed = Customer(pk=ann.pk, name="Anna", email="ann@x.org")
        writer.rows(Customer).bulk_create(
            [changed], update_conflicts=True, update_fields=["name"], **unique
        )

    return Scene("customer", ann.pk, "Ann", "Anna", write, bob.pk)


def ignore_conflicts(writer: Writer) -> Scene:
    ann, bob = ann_and_bob()

    def write() -> None:
        rows = [Customer(pk=pk, name="New") for pk in (ann.pk, UNUSED_KEY)]
        writer.rows(Customer).bulk_create(rows, ignore_conflicts=True)

    return Scene("customer", UNUSED_KEY, None, "New", write, bob.pk)


def bulk_update(writer: Writer) -> Scene:
    ann, bob = ann_and_bob()
    other = Customer.objects.create(name="Cyd")

    def write() -> None:
        ann.name, other.name = "Anna", "Cydney"
        writer.rows(Customer).bulk_update([ann, other], ["name"])

    return Scene("customer", ann.pk, "Ann", "Anna", write, bob.pk)


def raw_delete(writer: Writer) -> Scene:
    ann, bob = ann_and_bob()

    def write() -> None:
        writer.rows(Customer).filter(name="Ann")._raw_delete(writer.alias)

    return Scene("customer", ann.pk, "Ann", None, write, bob.pk)


def relating(act: str, before: str | None, after: str | None) -> Callable[[Writer], Scene]:
    """A change of the rows that belong to Acme, through its relation to them."""

    def arrange(writer: Writer) -> Scene:
        ann: Any
        bob: Any
        ann, bob = members() if writer.is_precise else employees()
        link = "club" if writer.is_precise else "company"
        if before is None:
            setattr(ann, link, None)
            ann.save()
        model: Any = Club if writer.is_precise else Company
        acme = model.objects.get(name="Acme")
        related = acme.members if writer.is_precise else acme.customer_set
        acts: dict[str, Callable[[], object]] = {
            "add": lambda: related.add(ann),
            "add one by one": lambda: related.add(ann, bulk=False),
            "remove": lambda: related.remove(ann),
            "remove one by one": lambda: related.remove(ann, bulk=False),
            "set": lambda: related.set([]),
            "clear": related.clear,
            "clear one by one": lambda: related.clear(bulk=False),
        }
        name = "membership" if writer.is_precise else "employer"
        return Scene(name, ann.pk, before, after, acts[act], bob.pk)

    return arrange


add = relating("add", None, "Acme")
add_singly = relating("add one by one", None, "Acme")
remove = relating("remove", "Acme", None)
remove_singly = relating("remove one by one", "Acme", None)
set_related = relating("set", "Acme", None)
clear = relating("clear", "Acme", None)
clear_singly = relating("clear one by one", "Acme", None)
