"""Declares which rows of this database others may refer to."""

from django.apps import AppConfig

from refcache import Staleness, references


class CustomersConfig(AppConfig):
    """Customers, their companies, and devices."""

    name = "customers"

    def ready(self) -> None:
        """Register the references."""
        references.register(
            "customers.Customer",
            fields=["name", "tier"],
            name="customer",
            ttl=300,
            negative_ttl=30,
            staleness=Staleness(while_revalidate=60, if_error=3600),
            missing=lambda key: {"name": f"Unknown Customer (ID: {key})"},
            filter={"is_active": True},
            where=["tier"],
        )
        references.register("customers.Device", fields=["serial", "label"], name="device", ttl=3600)
        # The same rows with a relation: that is one more round trip for the whole page.
        references.register(
            "customers.Customer",
            fields=["name", "company__name"],
            name="account",
            missing=lambda key: {"name": f"Unknown Customer (ID: {key})"},
        )
        # Neither the customer nor the device alone is a key.
        references.register(
            "customers.Agreement",
            fields=["discount"],
            name="agreement",
            key=("customer", "device"),
        )
