"""Which database holds which app."""

from django.db.models import Model


class EventsRouter:
    """Keep the orders in `events`, everything else in `default`."""

    def db_for_read(self, model: type[Model], **_hints: object) -> str | None:
        """Name the database of *model*, or leave it to Django."""
        return "events" if model._meta.app_label == "orders" else None

    db_for_write = db_for_read

    def allow_migrate(self, db: str, app_label: str, **_hints: object) -> bool:
        """Make the tables of an app in its own database only."""
        return (db == "events") == (app_label == "orders")
