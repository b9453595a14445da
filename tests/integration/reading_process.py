"""A process that reads a page of customers when it is told to, and says what that took.

python -m tests.integration.reading_process PREFIX THREADS KEY...

Prints "ready", waits for a line, then prints {"rows": how many rows the database gave,
"names": what each thread was answered}.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import django

LIMIT = 30.0


def main(prefix: str, threads: int, keys: list[int]) -> None:
    from refcache import ReferenceCache  # noqa: PLC0415 - after setup()
    from refcache.conf import conf  # noqa: PLC0415
    from refcache.connections import Place, place_of  # noqa: PLC0415
    from tests.integration.watching import on_own_connections, rows_read  # noqa: PLC0415

    registry = ReferenceCache(Place(place_of(conf()).store, prefix.encode()))
    registry.register("testapp.Customer", ["name"], name="customer")
    begin = Barrier(threads)

    def read() -> tuple[int, list[str]]:
        with rows_read() as rows:
            begin.wait(LIMIT)
            found = registry["customer"].get_many(keys)
        return sum(rows), [row.name for row in found.values()]

    _say("ready")
    sys.stdin.readline()
    with ThreadPoolExecutor(threads) as pool:
        answers = [pool.submit(on_own_connections(read)) for _ in range(threads)]
        results = [answer.result(LIMIT) for answer in answers]
    _say(json.dumps({"rows": sum(r for r, _ in results), "names": [n for _, n in results]}))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    django.setup()
    main(sys.argv[1], int(sys.argv[2]), list(map(int, sys.argv[3:])))
