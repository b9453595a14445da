"""Make tables, triggers and rows where there are none yet: `python -m real.prepare`.

Runs before the relay and the web processes; it may run again.
"""

import argparse
import os

import django
from django.core.management import call_command

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "real.settings")
django.setup()

from shop.data import Sizes, make  # noqa: E402 - Django has to be set up first


def main() -> None:
    """Prepare both databases; the replica follows."""
    parser = argparse.ArgumentParser(description="Make tables, triggers and rows.")
    parser.add_argument("--customers", type=int, default=10_000, help="default: %(default)s")
    parser.add_argument("--events", type=int, default=20_000, help="default: %(default)s")
    options = parser.parse_args()
    for alias in ("default", "events"):
        call_command("migrate", database=alias, verbosity=0)
    call_command("refcache_triggers", "install", database=["default"])
    make(Sizes(customers=options.customers, events=options.events), lambda *_: None)
    # What the triggers have noted so far drops everything: better now, while nothing is cached.
    call_command("refcache_relay", once=True)


if __name__ == "__main__":
    main()
