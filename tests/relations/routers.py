"""Which database holds what of this app."""

from typing import Any

from django.db.models import Model

EVENTS = {"batch", "proxiedvisit", "task", "urgentvisit", "visit"}


class RelationsRouter:
    """Keeps the visits apart, and has no opinion on other apps."""

    def db_for_read(self, model: type[Model], **_: Any) -> str | None:
        return alias_of(model._meta.app_label, model._meta.model_name)

    def db_for_write(self, model: type[Model], **_: Any) -> str | None:
        return alias_of(model._meta.app_label, model._meta.model_name)

    def allow_migrate(
        self, db: str, app_label: str, model_name: str | None = None, **_: Any
    ) -> bool | None:
        alias = alias_of(app_label, model_name)
        return None if alias is None else db == alias


def alias_of(app_label: str, model_name: str | None) -> str | None:
    if app_label != "relations":
        return None
    return "events" if model_name in EVENTS else "default"
