"""The writes that are killed; each concerns two rows that are there, and one that is not."""

from collections.abc import Callable, Sequence
from contextlib import suppress

from django.db import connections, transaction
from django.db.models import QuerySet

from refcache import ReferenceCache
from refcache.querysets import ReferenceQuerySet
from tests.testapp.models import Customer

Pks = Sequence[int]
Write = Callable[[str, Pks], None]
Answers = dict[object, str | None]

TABLE = "testapp_customer"
NEW = "new"


class Undone(Exception):
    """What a block is left with to be rolled back."""


def register(registry: ReferenceCache, alias: str) -> None:
    registry.register("testapp.Customer", ["name"], name="customer", using=alias)
    registry.register("testapp.Customer", ["name"], name="mail", key="email", using=alias)


def row(pk: int, name: str) -> Customer:
    return Customer(pk=pk, name=name, email=email(pk, name), tier=str(pk // 10))


def email(pk: int, name: str) -> str:
    return f"{name}-{pk}@x.org"


def save(alias: str, pks: Pks) -> None:
    row(pks[0], NEW).save(using=alias)


def save_one_field(alias: str, pks: Pks) -> None:
    row(pks[0], NEW).save(using=alias, update_fields=["name"])


def save_in_block(alias: str, pks: Pks) -> None:
    with transaction.atomic(using=alias):
        save(alias, pks)


def create(alias: str, pks: Pks) -> None:
    row(pks[2], NEW).save(using=alias, force_insert=True)


def create_in_block(alias: str, pks: Pks) -> None:
    with transaction.atomic(using=alias):
        create(alias, pks)


def delete(alias: str, pks: Pks) -> None:
    row(pks[0], "old").delete(using=alias)


def delete_several(alias: str, pks: Pks) -> None:
    _plain(alias).filter(pk__in=pks).delete()


def update_by_condition(alias: str, pks: Pks) -> None:
    _plain(alias).filter(tier=str(pks[0] // 10)).update(name=NEW)


def update_by_keys(alias: str, pks: Pks) -> None:
    _plain(alias).filter(pk__in=pks).update(name=NEW)


def reference_update(alias: str, pks: Pks) -> None:
    ReferenceQuerySet(Customer, using=alias).filter(tier=str(pks[0] // 10)).update(name=NEW)


def bulk_create(alias: str, pks: Pks) -> None:
    customers: ReferenceQuerySet[Customer] = ReferenceQuerySet(Customer, using=alias)
    customers.bulk_create([row(pks[2], NEW)])


def bulk_update(alias: str, pks: Pks) -> None:
    rows = [row(pk, NEW) for pk in pks[:2]]
    customers: ReferenceQuerySet[Customer] = ReferenceQuerySet(Customer, using=alias)
    customers.bulk_update(rows, ["name", "email"])


def raw_sql(alias: str, pks: Pks) -> None:
    with connections[alias].cursor() as cursor:
        cursor.execute(f"UPDATE {TABLE} SET name = %s WHERE id = %s", [NEW, pks[0]])  # noqa: S608 - ours


def raw_sql_by_condition(alias: str, pks: Pks) -> None:
    with connections[alias].cursor() as cursor:
        cursor.execute(f"UPDATE {TABLE} SET name = 'new' WHERE id BETWEEN {pks[0]} AND {pks[1]}")  # noqa: S608 - ours


def two_rows_and_a_savepoint(alias: str, pks: Pks) -> None:
    with transaction.atomic(using=alias):
        row(pks[0], NEW).save(using=alias)
        with suppress(Undone), transaction.atomic(using=alias):
            row(pks[1], "undone").save(using=alias)
            raise Undone
        row(pks[1], NEW).save(using=alias)


def rolled_back(alias: str, pks: Pks) -> None:
    with suppress(Undone), transaction.atomic(using=alias):
        row(pks[0], "undone").save(using=alias)
        _plain(alias).filter(pk=pks[1]).update(name="undone")
        raise Undone


WRITES: dict[str, Write] = {
    each.__name__: each
    for each in (
        save, save_one_field, save_in_block, create, create_in_block, delete, delete_several,
        update_by_condition, update_by_keys, reference_update, bulk_create, bulk_update, raw_sql,
        raw_sql_by_condition, two_rows_and_a_savepoint, rolled_back,
    )
}  # fmt: skip


def answers(registry: ReferenceCache, pks: Pks) -> Answers:
    """What refcache says of the rows, by all keys that they have or may be given."""
    emails = [email(pk, name) for pk in pks for name in ("old", NEW, "undone")]
    found: Answers = {}
    for reference, keys in (("customer", pks), ("mail", emails)):
        rows = registry[reference].get_many(list(keys))
        found |= {key: rows[key].name if key in rows else None for key in keys}
    return found


def stored(alias: str, pks: Pks) -> Answers:
    """What the database says of the rows, in the same words."""
    found: Answers = dict.fromkeys(pks)
    found |= {email(pk, name): None for pk in pks for name in ("old", NEW, "undone")}
    for each in _plain(alias).filter(pk__in=pks):
        found |= {each.pk: each.name, each.email: each.name}
    return found


def _plain(alias: str) -> "QuerySet[Customer]":
    return QuerySet(Customer, using=alias)
