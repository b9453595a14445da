"""A process that reads and writes over pickled bombs, and says what an auditor has seen.

python -m tests.integration.served.audited KEY,KEY… FOLDER

Each bomb, where it goes off, makes FOLDER.
"""

import json
import os
import pickle
import sys
from typing import Any

import django
import redis
from django.conf import settings

# What data would have to do before it is code.
EVENTS = {
    "builtins.eval",
    "compile",
    "exec",
    "marshal.loads",
    "os.exec",
    "os.mkdir",
    "os.system",
    "pickle.find_class",
    "subprocess.Popen",
}


class Auditor:
    """A hook, which Python never takes off again."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.is_on = False
        sys.addaudithook(self._hear)

    def _hear(self, event: str, _: tuple[Any, ...]) -> None:
        if self.is_on and event in EVENTS:
            self.seen.append(event)


class Bomb:
    def __init__(self, folder: str) -> None:
        self._folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self._folder,)


def act(keys: list[str]) -> list[str]:
    """Read twice, write every way."""
    from django.db import transaction  # noqa: PLC0415 - after setup(), here and below

    from refcache import references  # noqa: PLC0415
    from tests.testapp.models import Customer  # noqa: PLC0415

    for name in ("served", "customer", "by-email"):
        asked = [f"{key}@x.org" for key in keys] if name == "by-email" else keys
        references[name].get_many(asked)
        references[name].lookup(asked)
    with transaction.atomic():
        Customer.objects.filter(pk__in=keys).update(name="Bea")
    return [row.name for row in references["served"].get_many(keys).values()]


def bury(client: "redis.Redis", payload: bytes) -> int:
    """Replace all entries by bombs: every other one in an entry that checks."""
    from refcache.core import entries  # noqa: PLC0415

    count = 0
    for key in list(client.scan_iter(f"{os.environ['REFCACHE_TEST_NAME']}:*")):
        found: Any = client.get(key)
        entry = entries.parse(key, found)
        raw = payload
        if entry is not None and entry.state == entries.VALUE and count % 2:
            raw = entries.pack(key, entry._replace(body=payload))
        client.set(key, raw)
        count += 1
    return count


def main(keys: list[str], folder: str) -> None:
    from django.urls import get_resolver  # noqa: PLC0415

    from refcache import references  # noqa: PLC0415
    from tests.testapp.models import Customer  # noqa: PLC0415

    get_resolver().url_patterns  # noqa: B018 - registers
    references.register("testapp.Customer", ["name"], name="by-email", key="email")
    for key in keys:
        Customer.objects.filter(pk=key).update(email=f"{key}@x.org")
    act(keys)
    act(keys)
    auditor, payload = Auditor(), pickle.dumps(Bomb(folder))
    with redis.Redis.from_url(settings.CACHES["default"]["LOCATION"]) as client:
        references["served"].get_many(keys)
        references["by-email"].get_many([f"{key}@x.org" for key in keys])
        bombs = bury(client, payload)
        auditor.is_on = True
        names = act(keys)
        auditor.is_on = False
        bombs += bury(client, payload)
        auditor.is_on = True
        names = act(keys)
    suspects, auditor.seen = auditor.seen, []
    pickle.loads(pickle.dumps(Auditor))  # noqa: S301 - what the hook would have heard
    said = {"bombs": bombs, "names": names, "suspects": suspects, "control": auditor.seen}
    sys.stdout.write(json.dumps(said))


if __name__ == "__main__":
    django.setup()
    main(sys.argv[1].split(","), sys.argv[2])
