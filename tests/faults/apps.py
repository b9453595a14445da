"""The app of the suite's one model."""

from django.apps import AppConfig


class FaultsConfig(AppConfig):
    name = "tests.faults"
    label = "faults"
    default_auto_field = "django.db.models.BigAutoField"
