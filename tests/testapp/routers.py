"""Which database holds what."""

from typing import Any

from django.db.models import Model

EVENTS = {"orderevent", "orderline"}


class EventsRouter:
    """Keeps order events apart; everything else lies in `default`."""

    def db_for_read(self, model: type[Model], **_: Any) -> str:
        return alias_of(model._meta.model_name)

    def db_for_write(self, model: type[Model], **_: Any) -> str:
        return alias_of(model._meta.model_name)

    def allow_migrate(
        self, db: str, _app_label: str, model_name: str | None = None, **_: Any
    ) -> bool:
        return db == alias_of(model_name)


def alias_of(model_name: str | None) -> str:
    return "events" if model_name in EVENTS else "default"
