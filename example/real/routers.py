"""Which database holds which app."""

from django.db.models import Model


class RealRouter:
    """Keep the orders in `events`, everything else in `default`; the replica makes no tables.

    Nothing is sent to the replica here: the references read it (`fill_from`).
    """

    def db_for_read(self, model: type[Model], **_hints: object) -> str:
        """Name the database of *model*."""
        return "events" if model._meta.app_label == "orders" else "default"

    db_for_write = db_for_read

    def allow_migrate(self, db: str, app_label: str, **_hints: object) -> bool:
        """Make the tables of an app, and the outbox, in one database only."""
        return db == ("events" if app_label == "orders" else "default")
