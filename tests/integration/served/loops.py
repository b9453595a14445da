"""A process that reads in one event loop after the other.

python -m tests.integration.served.loops HOW KEY,KEY…

HOW: "several" has each loop refresh to the end, "pending" ends each with a refresh under way, and
"abandoned" closes them by hand, without what `asyncio.run` does at its end.
"""

import asyncio
import sys

import django

from tests.integration.served.ending import watch_the_end

LOOPS = 3


def main(how: str, keys: list[str]) -> None:
    from django.urls import get_resolver  # noqa: PLC0415 - after setup()

    from refcache import references  # noqa: PLC0415
    from refcache.core.events import Refreshing  # noqa: PLC0415
    from tests.integration.watching import in_new_loop  # noqa: PLC0415

    get_resolver().url_patterns  # noqa: B018 - registers

    async def read() -> None:
        found = await references["old"].aget_many(keys)
        assert len(found) == len(keys)
        if how == "several":
            others = asyncio.all_tasks() - {asyncio.current_task()}
            await asyncio.gather(*others)

    in_new_loop(read())  # What is loaded for a caller is loaded on connections of its own.
    for _ in range(LOOPS):
        if how == "abandoned":
            loop = asyncio.new_event_loop()
            loop.run_until_complete(read())
            loop.close()
        else:
            asyncio.run(read())
    # A refresh that its loop left is finished by a thread; what is asked for meanwhile joins it.
    assert references.counts.of(Refreshing) >= (1 if how == "pending" else LOOPS)
    sys.stdout.write("done\n")


if __name__ == "__main__":
    watch_the_end()
    django.setup()
    main(sys.argv[1], sys.argv[2].split(","))
