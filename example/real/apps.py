"""Declares the references of the page, and counts what this process sends."""

from django.apps import AppConfig

from real import counting
from refcache import Staleness, references


class RealConfig(AppConfig):
    """The shop in production."""

    name = "real"

    def ready(self) -> None:
        """Register the references; loads read the replica, but for what was just written."""
        references.register(
            "customers.Customer",
            fields=["name", "tier"],
            name="listed-customer",
            # Shorter than a run of the example, so that it sees values expire.
            ttl=10,
            staleness=Staleness(while_revalidate=60, if_error=3600),
            missing=lambda key: {"name": f"Unknown Customer (ID: {key})"},
            on_error="placeholder",
            fill_from="replica",
            grace=5,  # seconds; longer than the replica ever lags
        )
        references.register(
            "customers.Device",
            fields=["serial", "label"],
            name="listed-device",
            ttl=3600,
            on_error="placeholder",
            fill_from="replica",
            grace=5,
        )
        counting.begin()
