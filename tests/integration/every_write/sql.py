"""Statements, as a project or Django's own tools send them to a database."""

from collections.abc import Callable

from django.core.management import call_command
from django.db import connections

from tests.integration.every_write.models import Owner, Pet
from tests.integration.every_write.scenes import UNUSED_KEY, Scene, Writer, ann_and_bob
from tests.testapp.models import Customer

VALUES = "(id, name, tier, is_active) VALUES"


def executing(
    sql: str, after: str | None, *, key: int | None = None, has_parameters: bool = False
) -> Callable[[Writer], Scene]:
    """A statement about Ann, or about a new row; `{ann}` is her key."""

    def arrange(writer: Writer) -> Scene:
        ann, bob = ann_and_bob()

        def write() -> None:
            if has_parameters:
                writer.execute(sql, [ann.pk if key is None else key])
            else:
                writer.execute(sql.format(ann=ann.pk))

        before = "Ann" if key is None else None
        return Scene("customer", ann.pk if key is None else key, before, after, write, bob.pk)

    return arrange


update_by_parameter = executing(
    "UPDATE testapp_customer SET name = 'Anna' WHERE id = %s", "Anna", has_parameters=True
)
delete_by_parameter = executing(
    "DELETE FROM testapp_customer WHERE id = %s", None, has_parameters=True
)
update = executing("UPDATE testapp_customer SET name = 'Anna' WHERE id = {ann}", "Anna")
delete = executing("DELETE FROM testapp_customer WHERE name = 'Ann'", None)
insert = executing(
    f"INSERT INTO testapp_customer {VALUES} ({UNUSED_KEY}, 'New', 'basic', true)",
    "New",
    key=UNUSED_KEY,
)
replace = executing(
    f"REPLACE INTO testapp_customer {VALUES} ({{ann}}, 'Anna', 'basic', true)", "Anna"
)
upsert = executing(
    f"INSERT INTO testapp_customer {VALUES} ({{ann}}, 'Anna', 'basic', true) "
    "ON CONFLICT (id) DO UPDATE SET name = excluded.name",
    "Anna",
)
upsert_on_mysql = executing(
    f"INSERT INTO testapp_customer {VALUES} ({{ann}}, 'Anna', 'basic', true) "
    "ON DUPLICATE KEY UPDATE name = 'Anna'",
    "Anna",
)
with_query = executing(
    "WITH changed AS (UPDATE testapp_customer SET name = 'Anna' WHERE id = {ann} RETURNING id) "
    "SELECT id FROM changed",
    "Anna",
)
merge = executing(
    "MERGE INTO testapp_customer AS c USING (SELECT {ann} AS id) AS s ON c.id = s.id "
    "WHEN MATCHED THEN UPDATE SET name = 'Anna'",
    "Anna",
)
do_block = executing(
    "DO $$ BEGIN UPDATE testapp_customer SET name = 'Anna' WHERE id = {ann}; END $$", "Anna"
)
anonymous_block = executing(
    "BEGIN NOT ATOMIC UPDATE testapp_customer SET name = 'Anna' WHERE id = {ann}; END", "Anna"
)


def insert_by_parameter(writer: Writer) -> Scene:
    bob = ann_and_bob()[1]

    def write() -> None:
        writer.execute(
            "INSERT INTO testapp_customer (id, name, tier, is_active) VALUES (%s, %s, %s, %s)",
            [UNUSED_KEY, "New", "basic", True],
        )

    return Scene("customer", UNUSED_KEY, None, "New", write, bob.pk)


def several(writer: Writer) -> Scene:
    ann, bob = ann_and_bob()

    def write() -> None:
        with connections[writer.alias].cursor() as cursor:
            sql = "UPDATE testapp_customer SET name = %s WHERE id = %s"
            cursor.executemany(sql, [("Anna", ann.pk), ("Nobody", 0)])

    return Scene("customer", ann.pk, "Ann", "Anna", write, bob.pk)


def truncate(writer: Writer) -> Scene:
    """Without CASCADE, PostgreSQL empties no table that a foreign key refers to."""
    rex, pip = (Pet.objects.create(name=n, owner=Owner.objects.create(name=n)) for n in ("R", "P"))

    def write() -> None:
        writer.execute("TRUNCATE TABLE testapp_pet")

    return Scene("pet", rex.pk, "R", None, write, pip.pk)


def truncate_cascade(writer: Writer) -> Scene:
    rex, pip = (Pet.objects.create(name=n, owner=Owner.objects.create(name=n)) for n in ("R", "P"))

    def write() -> None:
        writer.execute("TRUNCATE TABLE testapp_owner CASCADE")

    return Scene("pet", rex.pk, "R", None, write, pip.pk)


def flush(writer: Writer) -> Scene:
    ann, bob = ann_and_bob()

    def write() -> None:
        call_command(
            "flush",
            database=writer.alias,
            interactive=False,
            inhibit_post_migrate=True,
            verbosity=0,
        )

    return Scene("customer", ann.pk, "Ann", None, write, bob.pk)


def queryset_of_sql(writer: Writer) -> Scene:
    """What `raw()` is given is executed, even where it gives no rows."""
    ann, bob = ann_and_bob()
    sql = "UPDATE testapp_customer SET name = 'Anna' WHERE name = 'Ann' RETURNING id"

    def write() -> None:
        list(Customer.objects.using(writer.alias).raw(sql))

    return Scene("customer", ann.pk, "Ann", "Anna", write, bob.pk)
