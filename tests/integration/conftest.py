"""What the integration tests share: registries of their own, on the run's servers."""

from collections.abc import Iterator
from itertools import count
from typing import Protocol

import pytest
import redis
from django.core.signals import setting_changed
from django.db import connections
from django.db.backends.signals import connection_created
from django.db.models.signals import post_delete, post_save, pre_delete, pre_save

from refcache import ReferenceCache, references
from refcache.conf import conf
from refcache.connections import Place, place_of
from refcache.sql.sessions import session_of
from refcache.tiers.redis_store import RedisStore
from refcache.tiers.wire import script
from refcache.writing.bulk import bulk_insert, bulk_write
from tests.servers.redis_server import RedisServer

SIGNALS = (
    pre_save,
    post_save,
    pre_delete,
    post_delete,
    bulk_write,
    bulk_insert,
    connection_created,
    setting_changed,
)

_numbers = count(1)


class NewRegistry(Protocol):
    """Makes a registry; those of one test share their entries."""

    prefix: bytes

    def __call__(self) -> ReferenceCache: ...


class _NewRegistry:
    def __init__(self) -> None:
        self.prefix = b"own-%d:" % next(_numbers)
        self.stores: list[RedisStore] = []

    def __call__(self) -> ReferenceCache:
        store = place_of(conf()).store
        assert isinstance(store, RedisStore)
        self.stores.append(store)
        return ReferenceCache(Place(store, self.prefix))


@pytest.fixture
def new_registry(scripts: None) -> Iterator[NewRegistry]:  # noqa: ARG001 - they are loaded
    """Makes registries that end with the test: with pools, and with nothing in Redis."""
    made = _NewRegistry()
    before = [list(signal.receivers) for signal in SIGNALS]
    yield made
    for connection in connections.all(initialized_only=True):
        if session := session_of(connection):
            # Only the project's own references outlast a test.
            session.watchers &= {references._hooks._sql_watcher}
    for signal, receivers in zip(SIGNALS, before, strict=True):
        with signal.lock:
            signal.receivers = receivers
            signal.sender_receivers_cache.clear()
    for store in made.stores:
        store.close()


@pytest.fixture
def registry(new_registry: NewRegistry) -> ReferenceCache:
    return new_registry()


@pytest.fixture
def scripts(redis_server: RedisServer) -> None:
    """The scripts are at the server already, so that each call is one round trip."""
    with redis.Redis.from_url(redis_server.url) as client:
        for name in ("claim", "fill", "mark", "release"):
            client.script_load(script(name).text)


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[redis.Redis]:
    """A client of `redis_server`; nothing is flushed."""
    with redis.Redis.from_url(redis_server.url) as client:
        yield client
