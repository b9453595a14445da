"""`manage.py refcache_triggers`: make, drop or show the triggers that note changes."""

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from django.db import Error as DatabaseError
from django.db import connections

from refcache.outbox.options import chosen_aliases, chosen_tables
from refcache.outbox.triggers import Planned, install, planned, uninstall
from refcache.writing.tables import Table


class Command(BaseCommand):
    help = (
        "Triggers on the tables that references read, which note in the outbox what anybody "
        "changes; `refcache_relay` applies it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "action",
            choices=["install", "uninstall", "sql"],
            help="Make them, anew where they are there; drop them; or print the SQL that makes "
            "them, to be run by hand.",
        )
        parser.add_argument(
            "names", nargs="*", metavar="name", help="References or tables; default: all."
        )
        parser.add_argument(
            "--database",
            action="append",
            help="Only this database alias, may be repeated; default: all that references load "
            "from.",
        )
        parser.add_argument(
            "--no-notify",
            action="store_false",
            dest="notify",
            help="PostgreSQL: wake no relay, so that transactions can be prepared (PREPARE "
            "TRANSACTION); the relay then polls.",
        )

    def handle(self, *_: Any, **options: Any) -> None:
        tables = chosen_tables(options["names"], chosen_aliases(options["database"]))
        for alias, chosen in tables.items():
            try:
                self._act(alias, chosen, options)
            except LookupError as exc:
                raise CommandError(
                    f"{alias}: there is no table {exc.args[0]}. Migrate first; a view cannot be "
                    "watched, only the tables that it reads."
                ) from exc
            except (ImproperlyConfigured, DatabaseError) as exc:
                raise CommandError(f"{alias}: {exc}") from exc

    def _act(self, alias: str, tables: dict[str, Table], options: dict[str, Any]) -> None:
        if options["action"] == "install":
            for name in install(alias, tables, notify=options["notify"]):
                self.stdout.write(f"{alias}: {name} is watched.")
        elif options["action"] == "sql":
            for each in planned(alias, tables, notify=options["notify"]):
                self.stdout.write(script(alias, each))
        else:
            # What is registered no more has triggers, too.
            dropped = uninstall(alias, tables if options["names"] else None)
            for name in dropped:
                self.stdout.write(f"{alias}: dropped {name}.")
            if not dropped:
                self.stdout.write(f"{alias}: there is nothing to drop.")


def script(alias: str, planned: Planned) -> str:
    """For psql, mysql or sqlite3: all at once, where the database can do that."""
    statements = planned.statements
    if connections[alias].features.can_rollback_ddl:
        statements = ["BEGIN", *statements, "COMMIT"]
    lines = "\n".join(f"{each};" for each in statements)
    return f"-- {alias}: {planned.table}\n{lines}\n"
