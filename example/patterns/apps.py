"""A page of orders for each pattern that shows their customers; docs/patterns.md compares them."""

from django.apps import AppConfig

from refcache.signals import reference_changed


class PatternsConfig(AppConfig):
    """Copies of customers in database A, for the patterns that keep some."""

    name = "patterns"

    def ready(self) -> None:
        """Keep the copied columns in step."""
        from patterns.copies import keep_in_step  # noqa: PLC0415 - models are there only now

        reference_changed.connect(keep_in_step, sender=self.apps.get_model("customers.Customer"))
