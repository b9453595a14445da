"""The page by GraphQL: a DataLoader by hand, and refcache's."""

from collections.abc import Sequence

import strawberry
from asgiref.sync import async_to_sync
from django.http import HttpRequest, JsonResponse
from strawberry.dataloader import DataLoader

from customers.models import Customer
from orders.models import OrderEvent
from orders.views import NewestFirst
from refcache.contrib.strawberry import ReferencesExtension


@strawberry.type(name="Customer")
class CustomerType:
    """The needed fields."""

    name: str
    tier: str | None


@strawberry.type(name="Order")
class OrderType:
    """An order; each of its two customers comes by another loader."""

    id: int
    customer_id: int

    @strawberry.field
    async def loaded_customer(self, info: strawberry.Info) -> CustomerType | None:
        """By hand."""
        return await info.context["customers"].load(self.customer_id)

    @strawberry.field
    async def customer(self, info: strawberry.Info) -> CustomerType | None:
        """By refcache."""
        return await info.context["references"]["customer"].load(self.customer_id)


@strawberry.type
class Query:
    """What can be asked."""

    @strawberry.field
    async def orders(self) -> list[OrderType]:
        """Give the newest orders."""
        rows = OrderEvent.objects.order_by(NewestFirst.ordering)[: NewestFirst.page_size]
        return [OrderType(id=row.pk, customer_id=row.customer_id) async for row in rows]


async def load_customers(keys: Sequence[int]) -> list[Customer | None]:
    """Give the customers of one tick of the event loop, in the order of *keys*."""
    rows = await Customer.objects.ain_bulk(keys)
    return [rows.get(key) for key in keys]


schema = strawberry.Schema(Query, extensions=[ReferencesExtension])


def dataloader(_: HttpRequest) -> JsonResponse:
    """By hand: one query to database B for the page, in each request."""
    return _answer("{ orders { id customerId loadedCustomer { name tier } } }")


def reference_dataloader(_: HttpRequest) -> JsonResponse:
    """By refcache: one round trip for the page."""
    return _answer("{ orders { id customerId customer { name tier } } }")


@async_to_sync
async def _answer(query: str) -> JsonResponse:
    result = await schema.execute(query, context_value={"customers": DataLoader(load_customers)})
    if result.errors:
        raise result.errors[0]
    return JsonResponse(result.data)
