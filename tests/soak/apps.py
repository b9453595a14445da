"""The app of the run's one model."""

from django.apps import AppConfig


class SoakConfig(AppConfig):
    name = "tests.soak"
    label = "soak"
    default_auto_field = "django.db.models.BigAutoField"
