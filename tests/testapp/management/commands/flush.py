"""Django's `flush`, which ends each test that commits: only tables with rows are emptied."""

from typing import Any

from django.core.management.color import no_style
from django.core.management.commands.flush import Command as Flush
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

# What migrations leave, and every test may count on.
KEPT = ("auth_permission", "django_content_type")


class Command(Flush):
    """To empty a table that is empty costs PostgreSQL as much as any other: a new file or two."""

    def handle(self, **options: Any) -> None:
        connection = connections[options["database"]]
        if connection.vendor != "postgresql":
            super().handle(**options)
        elif tables := filled(connection):
            # Those that refer to them are to be emptied too.
            flush = connection.ops.sql_flush(no_style(), tables, allow_cascade=True)
            connection.ops.execute_sql_flush(flush)


def filled(connection: BaseDatabaseWrapper) -> list[str]:
    """The tables of models that have rows, but for those that are kept."""
    names = connection.introspection.django_table_names(only_existing=True, include_views=False)
    quote = connection.ops.quote_name
    looks = [
        f"SELECT {number} WHERE EXISTS (SELECT FROM {quote(name)})"  # noqa: S608 - of models
        for number, name in enumerate(names)
        if name not in KEPT
    ]
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(looks))
        return [names[number] for (number,) in cursor.fetchall()]
