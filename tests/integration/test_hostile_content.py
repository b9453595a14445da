"""Whatever stands under our keys: the right row, an entry that is mended, and no code that runs."""

import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from refcache import ReferenceCache
from refcache.core import entries
from tests.integration.conftest import NewRegistry
from tests.integration.serving import environ_of, new_name
from tests.integration.watching import LIMIT, after_each_statement, in_thread, state, statements
from tests.servers.redis_server import RedisServer
from tests.testapp.models import Customer

pytestmark = pytest.mark.django_db(transaction=True)

Put = Callable[[redis.Redis, bytes], object]
HEAD = bytes(18) + entries.FORMAT
CONTENT: dict[str, Put] = {
    "a list": lambda client, key: client.rpush(key, "x"),
    "a hash": lambda client, key: client.hset(key, "x", "y"),
    "a stream": lambda client, key: client.xadd(key, {"x": "y"}),
    "a set": lambda client, key: client.sadd(key, "x"),
    "a sorted set": lambda client, key: client.zadd(key, {"x": 1}),
    "another's pickle": lambda client, key: client.set(key, pickle.dumps({"name": "Eve"})),
    "another's JSON": lambda client, key: client.set(key, json.dumps({"name": "Eve"})),
    "an empty string": lambda client, key: client.set(key, b""),
    "a number": lambda client, key: client.set(key, 42),
    "5 MB": lambda client, key: client.set(key, bytes(range(256)) * 20_480),
    "5 MB that begin as a value": lambda client, key: client.set(key, HEAD + b"V" * 5_000_000),
    "5 MB that begin as a marker": lambda client, key: client.set(key, HEAD + b"M" * 5_000_000),
    "5 MB that begin as an epoch": lambda client, key: client.set(key, HEAD + b"E" * 5_000_000),
    "a future format": lambda client, key: client.set(key, bytes(18) + b"\x02V" + b"x" * 60),
    "a future marker": lambda client, key: client.set(key, bytes(18) + b"\x02M" + b"\xff" * 60),
    "a future epoch": lambda client, key: client.set(key, bytes(18) + b"\x02E" + b"\xff" * 60),
}
PLACES = ["the row", "the epoch"]


class Place:
    """A warm row, and the key that is spoilt."""

    def __init__(
        self, place: str, put: Put, registry: ReferenceCache, prefix: bytes, client: redis.Redis
    ) -> None:
        self.registry, self._prefix, self._client, self._put = registry, prefix, client, put
        self.ann = Customer.objects.create(name="Ann")
        assert self.name() == "Ann"
        (row,) = client.scan_iter(b"%bcustomer:*:%d" % (prefix, self.ann.pk))
        self._row: bytes = row
        self.key: bytes = row if place == "the row" else prefix + b"customer:epoch"

    def spoil(self) -> None:
        self._client.delete(self.key)
        self._put(self._client, self.key)

    def name(self) -> str | None:
        found = self.registry["customer"].get(self.ann.pk)
        return found.name if found else None

    def rename(self, name: str) -> None:
        self.ann.name = name
        self.ann.save()

    @property
    def stored(self) -> Any:
        """The row's entry as it stands."""
        return self._client.get(self._row)

    @property
    def state(self) -> str:
        return state(self._client, self._prefix, f"customer:{self.ann.pk}")


@pytest.fixture(params=CONTENT)
def content(request: pytest.FixtureRequest) -> Put:
    return CONTENT[request.param]


@pytest.fixture(params=PLACES)
def place(
    request: pytest.FixtureRequest,
    content: Put,
    registry: ReferenceCache,
    new_registry: NewRegistry,
    client: redis.Redis,
) -> Place:
    registry.register("testapp.Customer", ["name"], name="customer")
    return Place(request.param, content, registry, new_registry.prefix, client)


def test_a_read_gives_the_row_and_mends_the_entry(place: Place) -> None:
    place.spoil()

    assert place.name() == "Ann"

    with statements() as sent:
        assert place.name() == "Ann"
    assert sent == []


def test_a_mark_holds_over_it(place: Place) -> None:
    """In the row's place; in the epoch's, a new one that nobody may fill under yet."""
    place.spoil()

    with transaction.atomic():
        place.rename("Bea")
        before = place.stored
        assert in_thread(place.name) == "Ann"
        assert place.stored == before

    assert place.name() == "Bea"
    assert place.name() == "Bea"


def test_what_spoils_a_write_under_way_does_not_outlast_it(place: Place) -> None:
    with transaction.atomic():
        place.rename("Bea")
        place.spoil()
        assert in_thread(place.name) == "Ann"

    assert place.name() == "Bea"
    assert place.state == "value"


def test_what_spoils_a_load_under_way_is_not_built_upon(place: Place) -> None:
    place.registry["customer"].invalidate(place.ann.pk)

    with after_each_statement(lambda _: place.spoil()):
        assert place.name() == "Ann"

    assert place.name() == "Ann"
    assert place.name() == "Ann"
    place.rename("Bea")
    assert place.name() == "Bea"


@pytest.mark.parametrize("where", PLACES)
def test_wrong_bits_and_lost_ends_give_the_row(
    where: str, registry: ReferenceCache, new_registry: NewRegistry, client: redis.Redis
) -> None:
    registry.register("testapp.Customer", ["name"], name="customer")
    place = Place(where, lambda *_: None, registry, new_registry.prefix, client)
    found: Any = client.get(place.key)

    @settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
    @given(
        bits=st.lists(st.integers(0, 8 * len(found) - 1), max_size=3, unique=True),
        end=st.integers(0, len(found)),
    )
    def read_over(bits: list[int], end: int) -> None:
        raw = bytearray(found)
        for bit in bits:
            raw[bit // 8] ^= 1 << bit % 8
        client.set(place.key, bytes(raw[:end]))
        assert place.name() == "Ann"
        assert place.name() == "Ann"

    read_over()


def test_no_code_runs_that_stands_in_redis(redis_server: RedisServer, tmp_path: Path) -> None:
    """A process whose entries are bombs reads, writes and refreshes under an audit hook."""
    assert redis_server.process.is_running
    keys = ",".join(str(Customer.objects.create(name="Ann").pk) for _ in range(3))
    crater = tmp_path / "crater"

    done = subprocess.run(
        [sys.executable, "-m", "tests.integration.served.audited", keys, str(crater)],
        env=environ_of(new_name()),
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["bombs"] >= 10
    assert said["names"] == ["Bea", "Bea", "Bea"]
    assert said["suspects"] == []
    assert said["control"] == ["pickle.find_class"]
    assert not crater.exists()
