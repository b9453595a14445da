"""Denormalised columns, kept in step by a signal."""

from collections.abc import Sequence
from typing import Any

from django.db import transaction

from customers.models import Customer
from orders.models import OrderEvent
from patterns.models import DenormalisedOrder

BATCH = 5_000


def keep_in_step(keys: Sequence[int] | None, cause: str, **_: Any) -> None:
    """Copy customers that have changed; the receiver of `reference_changed`.

    Args:
        keys: Of the customers; None: any of them may have changed.
        cause: An inserted customer has no orders yet.
    """
    if cause in {"insert", "bulk_create"}:
        return
    copies = DenormalisedOrder.objects.all()
    if keys is not None:
        copies = copies.filter(customer_id__in=keys)
    changed = set(copies.values_list("customer_id", flat=True).distinct())
    # Locked until they are copied: else the receiver of an earlier write may overtake this one.
    with transaction.atomic():
        customers = Customer.objects.select_for_update().order_by("pk").in_bulk(changed)
        for key in changed:
            customer = customers.get(key)
            DenormalisedOrder.objects.filter(customer_id=key).update(**_columns(customer))


def copy_all() -> None:
    """Make the denormalised orders out of all orders, anew."""
    DenormalisedOrder.objects.all().delete()
    orders = list(OrderEvent.objects.all())
    customers = Customer.objects.in_bulk({order.customer_id for order in orders})
    DenormalisedOrder.objects.bulk_create(
        (
            DenormalisedOrder(
                pk=order.pk,
                customer_id=order.customer_id,
                amount=order.amount,
                created_at=order.created_at,
                **_columns(customers.get(order.customer_id)),
            )
            for order in orders
        ),
        batch_size=BATCH,
    )


def _columns(customer: Customer | None) -> dict[str, str | None]:
    """Nulls where there is no such customer: an order may outlive it."""
    return {
        "customer_name": customer.name if customer else None,
        "customer_tier": customer.tier if customer else None,
    }
