"""What is measured: warm and cold reads, their parts, and the bare calls beside them."""

from collections.abc import Callable, Sequence
from typing import Any

import redis
from django.conf import settings
from django.core.cache import cache
from django.db import connection
from redis.backoff import NoBackoff
from redis.retry import Retry

from benchmarks.models import Customer
from benchmarks.project import TIMEOUT
from benchmarks.timing import Case
from refcache import references
from refcache.connections import RETRIES
from refcache.core.entries import parse_epoch
from refcache.core.operations import Read
from refcache.core.pages import Mode, Page, sort
from refcache.reading.answers import cast_keys

ROWS = 10_000
KEYS = range(1, 101)

Key = Any


def make_rows() -> None:
    """The table, with `ROWS` customers whose keys begin at 1."""
    with connection.schema_editor() as editor:
        editor.create_model(Customer)
    Customer._default_manager.bulk_create(
        Customer(pk=number, name=f"Customer {number}", tier="gold") for number in range(1, ROWS + 1)
    )


def bare_client() -> redis.Redis:
    """redis-py with the settings of refcache's own pool."""
    return redis.Redis.from_url(
        settings.CACHES["default"]["LOCATION"],
        socket_timeout=TIMEOUT,
        socket_connect_timeout=TIMEOUT,
        retry=Retry(NoBackoff(), RETRIES, supported_errors=(redis.ConnectionError,)),
    )


def warm_cases() -> list[Case]:
    """The bare MGET, the read that is compared with it, and further ones."""
    customers, client = references["customer"], bare_client()
    keys = list(KEYS)
    memory = customers.plan.node.rows.memory
    entry_keys = customers.plan.node.rows.entry_keys(keys)
    cached = {key: {"key": key, "name": f"Customer {key}", "tier": "gold"} for key in keys}
    cache.set_many(cached, timeout=None)
    customers.get_many(keys)
    if None in client.mget(entry_keys):
        raise RuntimeError("The entries were not filled.")
    return [
        Case("redis-py: mget of the 100 entries", lambda: client.mget(entry_keys)),
        Case("refcache: get_many of 100 keys", lambda: customers.get_many(keys)),
        Case(
            "refcache: the same, new to this process",
            lambda: customers.get_many(keys),
            prepare=lambda: memory.of(b"another epoch"),
        ),
        Case("django-redis: get_many of 100 dictionaries", lambda: cache.get_many(keys)),
    ]


def parts() -> list[Case]:
    """The steps of a warm `get_many`; what it takes beyond them is generators, locks and events."""
    plan, terms = references["customer"].plan, references.terms
    source, store = plan.node.rows, references.runtime.backend.store
    keys = list(KEYS)
    entry_keys = source.entry_keys(keys)
    read = Read([source.epoch_key, *entry_keys])
    reply = store.perform(read)
    epoch = parse_epoch(source.epoch_key, reply.raws[0])

    def check() -> None:
        page = Page(source, Mode.TRUST, epoch=epoch)
        sort(page, keys, entry_keys, reply.raws[1:], reply.now, terms)

    return [
        Case("  of it: casting the keys", lambda: cast_keys(plan, keys, terms)),
        Case("  of it: building the entry keys", lambda: source.entry_keys(keys)),
        Case("  of it: MGET of these and of the epoch", lambda: store.perform(read)),
        Case("  of it: checking and decoding", check),
    ]


def single_cases() -> list[Case]:
    customers, client = references["customer"], bare_client()
    (entry_key,) = customers.plan.node.rows.entry_keys([1])
    return [
        Case("redis-py: get of the entry", lambda: client.get(entry_key)),
        Case("refcache: get of 1 key", lambda: customers.get(1)),
    ]


def cold_cases() -> list[Case]:
    """100 rows that Redis does not hold, against Django's way to load them."""
    customers = references["customer"]
    keys = list(KEYS)
    return [
        Case(f"Django: in_bulk of 100 keys ({connection.vendor})", in_bulk(keys)),
        Case(
            "refcache: get_many of 100 cold keys",
            lambda: customers.get_many(keys),
            prepare=customers.invalidate_all,
        ),
    ]


def in_bulk(keys: Sequence[Key]) -> Callable[[], Any]:
    rows = Customer._default_manager.all()
    return lambda: rows.in_bulk(keys)


def clear() -> None:
    """Leave nothing on a Redis that was there before."""
    client = bare_client()
    prefix = settings.CACHES["default"]["KEY_PREFIX"]
    if found := list(client.scan_iter(match=f"{prefix}:*")):
        client.delete(*found)
