"""Rows for the shop: made up, but the same each time."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

from django.db import router, transaction
from django.db.models import Manager, Model

from customers.models import Company, Customer, Device
from orders.models import OrderEvent, OrderLine

Advance = Callable[[str, int, int], None]

BATCH = 5_000
LINES_PER_EVENT = 2
FIRST_NAMES = ("Ada", "Ben", "Chloe", "Dmitri", "Elif", "Farid", "Grace", "Hana", "Ivan", "Joy")
LAST_NAMES = ("Almeida", "Berg", "Costa", "Dubois", "Evans", "Fischer", "Garcia", "Haddad", "Ito")
FIRST_EVENT = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many rows to make; each at least 1."""

    customers: int = 100_000
    events: int = 20_000
    companies: int = 500
    devices: int = 2_000


def make(sizes: Sizes, advance: Advance) -> None:
    """Fill the database that holds no customers, and the one that holds no events.

    One transaction per database, so that an interrupted run leaves nothing behind.

    Args:
        sizes: Not looked at where rows are there already.
        advance: Told after each batch: the table, its rows so far, and its rows in the end.
    """
    if not Customer.objects.exists():
        with transaction.atomic(using=router.db_for_write(Customer)):
            _make_customers(sizes, advance)
    if not OrderEvent.objects.exists():
        with transaction.atomic(using=router.db_for_write(OrderEvent)):
            _make_events(sizes, advance)


def _make_customers(sizes: Sizes, advance: Advance) -> None:
    _store("companies", Company.objects, sizes.companies, _company, advance)
    _store("devices", Device.objects, sizes.devices, _device, advance)
    companies = _keys(Company.objects)
    _store(
        "customers",
        Customer.objects,
        sizes.customers,
        lambda number: _customer(number, companies),
        advance,
    )


def _make_events(sizes: Sizes, advance: Advance) -> None:
    chance = Random(1)  # noqa: S311 - no secret depends on it
    customers, devices = _keys(Customer.objects), _keys(Device.objects)

    def event(number: int) -> OrderEvent:
        return _event(
            number, chance, customer_id=chance.choice(customers), device_id=chance.choice(devices)
        )

    def line(number: int) -> OrderLine:
        event_id = events[number // LINES_PER_EVENT]
        return OrderLine(
            event_id=event_id, device_id=chance.choice(devices), quantity=chance.randint(1, 9)
        )

    _store("events", OrderEvent.objects, sizes.events, event, advance)
    events = _keys(OrderEvent.objects)
    _store("lines", OrderLine.objects, len(events) * LINES_PER_EVENT, line, advance)


def _company(number: int) -> Company:
    return Company(name=f"Company {number}")


def _device(number: int) -> Device:
    return Device(serial=f"SN-{number:06}", label=f"Sensor {number}")


def _customer(number: int, companies: list[int]) -> Customer:
    first = FIRST_NAMES[number % len(FIRST_NAMES)]
    last = LAST_NAMES[number // len(FIRST_NAMES) % len(LAST_NAMES)]
    return Customer(
        name=f"{first} {last}",
        email=f"{first}.{last}.{number}@example.com".lower(),
        tier=Customer.Tier.values[number % len(Customer.Tier)],
        is_active=number % 50 != 0,  # So that a page shows a placeholder or two.
        company_id=companies[number % len(companies)],
    )


def _event(number: int, chance: Random, *, customer_id: int, device_id: int) -> OrderEvent:
    return OrderEvent(
        kind=chance.choice(OrderEvent.Kind.values),
        customer_id=customer_id,
        device_id=device_id,
        amount=Decimal(chance.randint(100, 99_999)) / 100,
        created_at=FIRST_EVENT + timedelta(seconds=30 * number),
    )


def _keys(rows: Manager) -> list[int]:
    return list(rows.order_by("pk").values_list("pk", flat=True))


def _store(
    table: str, rows: Manager, total: int, build: Callable[[int], Model], advance: Advance
) -> None:
    for start in range(0, total, BATCH):
        numbers = range(start, min(start + BATCH, total))
        rows.bulk_create([build(number) for number in numbers])
        advance(table, numbers.stop, total)
