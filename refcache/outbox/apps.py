"""The outbox as an installed app: it looks after its triggers when migrations have run."""

from django.apps import AppConfig
from django.core.checks import Tags, register
from django.db.models.signals import post_migrate


class OutboxConfig(AppConfig):
    name = "refcache.outbox"
    label = "refcache_outbox"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from refcache.outbox.upkeep import after_migrate, check_triggers  # noqa: PLC0415 - models

        register(check_triggers, Tags.database)
        post_migrate.connect(after_migrate, sender=self)
