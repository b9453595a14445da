"""Which database holds the copies."""

from django.db.models import Model


class PatternsRouter:
    """Keep them beside the orders, in `events`."""

    def db_for_read(self, model: type[Model], **_hints: object) -> str | None:
        """Name the database of *model*, or leave it to the next router."""
        return "events" if model._meta.app_label == "patterns" else None

    db_for_write = db_for_read

    def allow_migrate(self, db: str, app_label: str, **_hints: object) -> bool | None:
        """Make the tables of this app beside the orders only."""
        return db == "events" if app_label == "patterns" else None
