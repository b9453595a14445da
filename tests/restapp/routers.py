"""Which database holds what of an app."""

from typing import Any

from django.db.models import Model


class AppRouter:
    """Keeps the models *events* of one app apart, and has no opinion on other apps."""

    label = ""
    events: frozenset[str] = frozenset()

    def db_for_read(self, model: type[Model], **_: Any) -> str | None:
        return self._alias_of(model._meta.app_label, model._meta.model_name)

    def db_for_write(self, model: type[Model], **_: Any) -> str | None:
        return self._alias_of(model._meta.app_label, model._meta.model_name)

    def allow_migrate(
        self, db: str, app_label: str, model_name: str | None = None, **_: Any
    ) -> bool | None:
        alias = self._alias_of(app_label, model_name)
        return None if alias is None else db == alias

    def _alias_of(self, app_label: str, model_name: str | None) -> str | None:
        if app_label != self.label:
            return None
        return "events" if model_name in self.events else "default"


class RestRouter(AppRouter):
    label = "restapp"
    events = frozenset({"shop", "order", "invoice", "line", "part"})
