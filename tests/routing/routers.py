"""The routers that people write, as the ticket has them."""

from typing import Any

from django.db.models import Model

PRIMARY, REPLICA = "default", "events"  # as if the second one were a copy of the first


class ReadsPrimary:
    """Ignores the hint: reads go to the primary."""

    def db_for_read(self, model: type[Model], **_: Any) -> str | None:
        return PRIMARY if model._meta.app_label in ("lab", "contenttypes") else None

    db_for_write = db_for_read


class ReadsReplica(ReadsPrimary):
    """Ignores the hint: reads go to the replica, writes to the primary."""

    def db_for_read(self, model: type[Model], **_: Any) -> str | None:
        return REPLICA if model._meta.app_label in ("lab", "contenttypes") else None


class MindsInstance:
    """Reads and writes stay where the instance was read."""

    def db_for_read(
        self, model: type[Model], instance: Model | None = None, **_: Any
    ) -> str | None:
        if model._meta.app_label not in ("lab", "contenttypes"):
            return None
        return (instance and instance._state.db) or REPLICA

    db_for_write = db_for_read


class ByModel:
    """Authors lie in the primary; no opinion on the rest."""

    def db_for_read(self, model: type[Model], **_: Any) -> str | None:
        return PRIMARY if model._meta.label == "lab.Author" else None

    db_for_write = db_for_read
