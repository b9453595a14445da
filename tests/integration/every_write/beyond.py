"""Writes that Django's connections are not told of, or whose text does not name the table."""

from collections.abc import Callable
from typing import Any

from django.db import connections, transaction

from tests.integration.every_write.models import Owner, Pet
from tests.integration.every_write.scenes import UNUSED_KEY, Scene, Writer, ann_and_bob
from tests.outbox.conftest import run_sql

UPDATE = "UPDATE testapp_customer SET name = 'Anna' WHERE name = 'Ann'"


def renaming(act: Callable[[Writer], object]) -> Callable[[Writer], Scene]:
    """What *act* prepares is there before the rows are read; Ann becomes Anna."""

    def arrange(writer: Writer) -> Scene:
        ann, bob = ann_and_bob()
        write: Any = act(writer)
        return Scene("customer", ann.pk, "Ann", "Anna", write, bob.pk)

    return arrange


@renaming
def other_connection(writer: Writer) -> object:
    return lambda: run_sql(writer.alias, UPDATE)


@renaming
def driver(writer: Writer) -> object:
    def write() -> None:
        connection: Any = connections[writer.alias]
        connection.connection.cursor().execute(UPDATE)

    return write


@renaming
def called_procedure(writer: Writer) -> object:
    if writer.vendor == "postgresql":
        body = f"CREATE PROCEDURE rename_ann() LANGUAGE sql AS $${UPDATE}$$"
    else:
        body = f"CREATE PROCEDURE rename_ann() {UPDATE}"
    writer.make(body, "DROP PROCEDURE rename_ann")
    return lambda: writer.execute("CALL rename_ann()")


@renaming
def callproc(writer: Writer) -> object:
    if writer.vendor == "postgresql":
        make_function(writer)
    else:
        writer.make(f"CREATE PROCEDURE rename_ann() {UPDATE}", "DROP PROCEDURE rename_ann")

    def write() -> None:
        with connections[writer.alias].cursor() as cursor:
            cursor.callproc("rename_ann", [])

    return write


def make_function(writer: Writer) -> None:
    if writer.vendor == "postgresql":
        body = (
            f"CREATE FUNCTION rename_ann() RETURNS integer LANGUAGE sql AS $${UPDATE}; SELECT 1$$"
        )
    else:
        body = f"CREATE FUNCTION rename_ann() RETURNS integer BEGIN {UPDATE}; RETURN 1; END"
    writer.make(body, "DROP FUNCTION rename_ann")


@renaming
def function_in_query(writer: Writer) -> object:
    make_function(writer)
    return lambda: writer.execute("SELECT rename_ann()")


@renaming
def prepared(writer: Writer) -> object:
    quoted = UPDATE.replace("'", "''")
    body = f"AS {UPDATE}" if writer.vendor == "postgresql" else f"FROM '{quoted}'"
    writer.make(f"PREPARE rename_ann {body}", "DEALLOCATE PREPARE rename_ann")
    return lambda: writer.execute("EXECUTE rename_ann")


@renaming
def dynamic_block(writer: Writer) -> object:
    return lambda: writer.execute(
        "DO $$ BEGIN EXECUTE 'UPDATE testapp' || '_customer SET name = ''Anna'' "
        "WHERE name = ''Ann'''; END $$"
    )


@renaming
def view(writer: Writer) -> object:
    writer.make(
        "CREATE VIEW ann_only AS SELECT id, name FROM testapp_customer", "DROP VIEW ann_only"
    )
    return lambda: writer.execute("UPDATE ann_only SET name = 'Anna' WHERE name = 'Ann'")


@renaming
def trigger(writer: Writer) -> object:
    """A row of another table is written by Django; the database then writes Ann's."""
    if writer.vendor == "postgresql":
        writer.make(
            "CREATE FUNCTION rename_ann() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$BEGIN {UPDATE}; RETURN NULL; END$$",
            "DROP FUNCTION rename_ann",
        )
        body = (
            "CREATE TRIGGER rename_ann AFTER INSERT ON testapp_country "
            "FOR EACH ROW EXECUTE FUNCTION rename_ann()"
        )
        undo = "DROP TRIGGER rename_ann ON testapp_country"
    else:
        body = (
            "CREATE TRIGGER rename_ann AFTER INSERT ON testapp_country "
            f"FOR EACH ROW BEGIN {UPDATE}; END"
        )
        undo = "DROP TRIGGER rename_ann"
    writer.make(body, undo)
    return lambda: writer.execute("INSERT INTO testapp_country (name) VALUES ('Sweden')")


def copied(writer: Writer) -> Scene:
    bob = ann_and_bob()[1]

    def write() -> None:
        with (
            connections[writer.alias].cursor() as cursor,
            cursor.copy("COPY testapp_customer (id, name, tier, is_active) FROM STDIN") as copy,
        ):
            copy.write_row((UNUSED_KEY, "New", "basic", True))

    return Scene("customer", UNUSED_KEY, None, "New", write, bob.pk)


@renaming
def script(writer: Writer) -> object:
    def write() -> None:
        with connections[writer.alias].cursor() as cursor:
            cursor.executescript(UPDATE)

    return write


def other_truncates(writer: Writer) -> Scene:
    rex, pip = (Pet.objects.create(name=n, owner=Owner.objects.create(name=n)) for n in ("R", "P"))

    def write() -> None:
        run_sql(writer.alias, "TRUNCATE TABLE testapp_pet")

    return Scene("pet", rex.pk, "R", None, write, pip.pk)


def other_cascades(writer: Writer) -> Scene:
    rex, pip = (Pet.objects.create(name=n, owner=Owner.objects.create(name=n)) for n in ("R", "P"))
    on = ["PRAGMA foreign_keys = ON"] if writer.vendor == "sqlite" else []

    def write() -> None:
        run_sql(writer.alias, *on, "DELETE FROM testapp_owner WHERE name = 'R'")

    return Scene("pet", rex.pk, "R", None, write, pip.pk)


def other_replaces(writer: Writer) -> Scene:
    """The new row has another key; the one that was in its way is gone."""
    ann, bob = ann_and_bob()

    def write() -> None:
        run_sql(
            writer.alias,
            "REPLACE INTO testapp_customer (id, name, tier, email, is_active) "
            "VALUES (1000000000, 'New', 'basic', 'ann@x.org', TRUE)",
        )

    return Scene("customer", ann.pk, "Ann", None, write, bob.pk)


@renaming
def prepared_transaction(writer: Writer) -> object:
    """Two-phase commit: Django takes the transaction for ended when it is prepared."""

    def write() -> None:
        with transaction.atomic(using=writer.alias):
            writer.execute(UPDATE)
            writer.execute("PREPARE TRANSACTION 'ann'")
        writer.others_read()
        writer.execute("COMMIT PREPARED 'ann'")

    return write
