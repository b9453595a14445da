"""Which database holds what."""

from typing import Any

from django.db.models import Model

EVENTS = {"orderevent", "orderline"}

# Of these databases, whose tests say using=, and what they cannot hold: an array and a default
# of PostgreSQL; MariaDB also no key of text without a limit.
OTHERS = {
    "mariadb": {"document", "ticket", "lot", "bargain"},
    "sqlite": {"document", "ticket"},
}


class EventsRouter:
    """Keeps order events apart; everything else lies in `default`.

    This app's tables are also in the databases that are only used where a test names them.
    """

    def db_for_read(self, model: type[Model], **_: Any) -> str:
        return alias_of(model._meta.model_name)

    def db_for_write(self, model: type[Model], **_: Any) -> str:
        return alias_of(model._meta.model_name)

    def allow_migrate(
        self, db: str, app_label: str, model_name: str | None = None, **_: Any
    ) -> bool:
        if db in OTHERS:
            return app_label in ("testapp", "refcache_outbox") and model_name not in OTHERS[db]
        return db == alias_of(model_name)


def alias_of(model_name: str | None) -> str:
    return "events" if model_name in EVENTS else "default"
