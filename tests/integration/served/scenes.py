"""Processes whose threads are counted.

python -m tests.integration.served.scenes SCENE KEY,KEY…

Each scene prints one JSON value, and ends when it has read a line.
"""

import json
import logging
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import django
from django.conf import settings

from tests.integration.served.ending import watch_the_end

LIMIT = 30.0
THREADS = 16
ROUNDS = 25  # per thread

Scene = Callable[[list[str]], object]


def threads() -> list[str]:
    return sorted(thread.name for thread in threading.enumerate())


def nothing(keys: list[str]) -> object:
    """Cold and warm pages, and every kind of write."""
    from django.db import transaction  # noqa: PLC0415 - after setup(), here and below

    from refcache import references  # noqa: PLC0415
    from tests.testapp.models import Customer  # noqa: PLC0415

    for _ in range(2):
        assert len(references["served"].get_many(keys)) == len(keys)
        references.lookup({"served": keys, "customer": keys})
    Customer.objects.filter(pk=keys[0]).update(name="a")
    with transaction.atomic():
        Customer.objects.get(pk=keys[1]).save()
    references["served"].invalidate_all()
    references["served"].warm()
    return threads()


def refresh(keys: list[str]) -> object:
    """An old value is served."""
    from refcache import references  # noqa: PLC0415

    references["old"].get_many(keys)
    before = threads()
    references["old"].get_many(keys)
    return [before, threads()]


def limit(keys: list[str]) -> object:
    """A load has a time limit."""
    from refcache import references  # noqa: PLC0415

    references.register("testapp.Customer", ["name"], name="limited", load_timeout=LIMIT)
    before = threads()
    references["limited"].get_many(keys)
    return [before, threads()]


def release(keys: list[str]) -> object:
    """A release fails, and succeeds later."""
    from refcache import references  # noqa: PLC0415
    from tests.servers.process import wait_until  # noqa: PLC0415

    before = threads()
    during = _fail_to_release(keys[0])
    wait_until(lambda: not len(references.recovery), LIMIT)
    wait_until(lambda: threads() == before, LIMIT)
    return [before, during]


def owing(keys: list[str]) -> object:
    """A release fails, and waits until the process ends."""
    from refcache import references  # noqa: PLC0415

    references.recovery.retry_after = LIMIT
    references["served"].get_many(keys)
    _fail_to_release(keys[0])
    return len(references.recovery)


def _fail_to_release(key: str) -> list[str]:
    """The threads after a write whose release Redis was not told; by now it can be."""
    from django.db import transaction  # noqa: PLC0415

    from refcache import references  # noqa: PLC0415
    from tests.testapp.models import Customer  # noqa: PLC0415

    logging.getLogger("refcache").setLevel(logging.ERROR)  # What fails here shall fail.
    pool: Any = store_of(references)._client.connection_pool
    with transaction.atomic():
        Customer.objects.get(pk=key).save()
        kwargs = dict(pool.connection_kwargs)
        pool.connection_kwargs["port"] = 1
        _begin_anew(pool)
    during = threads()
    pool.connection_kwargs |= kwargs
    _begin_anew(pool)
    return during


def _begin_anew(pool: Any) -> None:
    """With connections as it is configured by now; `reset()` by itself leaves the others open."""
    pool.disconnect()
    pool.reset()


def busy(keys: list[str]) -> object:
    """Threads read and write for a while; then they end, and refcache's own somewhat later."""
    from refcache import references  # noqa: PLC0415
    from refcache.reading import workers  # noqa: PLC0415
    from tests.integration.watching import on_own_connections  # noqa: PLC0415
    from tests.servers.process import wait_until  # noqa: PLC0415
    from tests.testapp.models import Customer  # noqa: PLC0415

    workers.IDLE = 0.5  # seconds
    settings.DATABASES["default"]["CONN_MAX_AGE"] = None

    def act(number: int) -> list[str]:
        row, odd = Customer.objects.get(pk=keys[number % len(keys)]), []
        for turn in range(ROUNDS):
            Customer.objects.filter(pk=row.pk).update(name=f"{number}:{turn}", tier=str(turn))
            for name in ("served", "old"):
                found = references[name].get_many(keys)
                odd += [] if len(found) == len(keys) else [f"{number}:{turn}: {found}"]
        return odd

    with ThreadPoolExecutor(THREADS) as pool:
        futures = [pool.submit(on_own_connections(partial(act, n))) for n in range(THREADS)]
        odd = [each for future in futures for each in future.result(LIMIT)]
    wait_until(lambda: threads() == ["MainThread"], LIMIT)
    rows = Customer.objects.in_bulk(list(map(int, keys)))
    for pk, row in references["served"].get_many(keys).items():
        odd += [] if row.name == rows[pk].name else [f"{pk}: {row.name}, not {rows[pk].name}"]
    django.db.connections.close_all()
    return odd


def store_of(registry: Any) -> Any:
    """Its Redis store, behind the breaker."""
    return registry.runtime.backend.store.store


SCENES: dict[str, Scene] = {
    each.__name__: each for each in (nothing, refresh, limit, release, owing, busy)
}


def main(scene: str, keys: list[str]) -> None:
    assert threads() == ["MainThread"]
    watch_the_end()
    django.setup()
    from django.urls import get_resolver  # noqa: PLC0415

    get_resolver().url_patterns  # noqa: B018 - registers
    sys.stdout.write(json.dumps(SCENES[scene](keys)) + "\n")
    sys.stdout.flush()
    sys.stdin.readline()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2].split(","))
