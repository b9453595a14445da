"""`manage.py make_patterns`: what the patterns need beside the shop's own rows."""

from typing import Any

from django.core.management.base import BaseCommand

from customers.models import Agreement
from orders.models import OrderEvent
from patterns import copies, foreign


class Command(BaseCommand):
    """Agreements, denormalised orders and, on PostgreSQL, the foreign table and its view."""

    help = "Make what the patterns need beside the shop's own rows (example/demo.py makes those)."

    def handle(self, *_: Any, **__: Any) -> None:
        """Make them anew."""
        pairs = OrderEvent.objects.values_list("customer_id", "device_id").distinct()
        Agreement.objects.all().delete()
        # Every other one, so that a page shows some that are not there.
        Agreement.objects.bulk_create(
            Agreement(customer_id=customer, device_id=device, discount=1 + customer % 9)
            for customer, device in pairs
            if customer % 2
        )
        copies.copy_all()
        if foreign.is_possible():
            foreign.install()
        else:
            self.stdout.write("No foreign table: it needs PostgreSQL on both sides.")
