"""A process that relays the changes of one database; it is told of a reference there.

python -m tests.outbox.relaying_process ALIAS [--hang] ARGUMENT...

The arguments are the command's. With --hang it says "applied" as soon as a change was applied,
and goes no further.
"""

import signal
import sys

import django
from django.core.management import call_command


def main(alias: str, arguments: list[str]) -> None:
    from refcache import references  # noqa: PLC0415 - after setup()
    from refcache.core.events import Event, Released  # noqa: PLC0415

    def hang(event: Event) -> None:
        if isinstance(event, Released):
            sys.stdout.write("applied\n")
            sys.stdout.flush()
            signal.pause()

    references.register("testapp.Customer", ["name"], name=f"on-{alias}", using=alias)
    if arguments[:1] == ["--hang"]:
        references.subscribe(hang)
        arguments = arguments[1:]
    call_command("refcache_relay", "--database", alias, *arguments)


if __name__ == "__main__":
    django.setup()
    main(sys.argv[1], sys.argv[2:])
