"""`manage.py refcache_relay`: apply what writers outside Django have changed."""

import signal
import threading
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from statistics import median
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from django.db import Error as DatabaseError
from django.db import NotSupportedError, connections

from refcache.core.events import Relayed
from refcache.core.exceptions import StoreUnavailable
from refcache.outbox.options import chosen_aliases, positive
from refcache.outbox.relay import BATCH, Relay
from refcache.outbox.tally import Tally, in_words
from refcache.outbox.triggers import check_outbox, has_outbox
from refcache.outbox.waking import Stop
from refcache.registry import references


class Command(BaseCommand):
    help = (
        "Apply the changes that triggers have noted, until SIGTERM. Several may run at a time; "
        "one that is killed loses nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--database",
            action="append",
            help="Serve this database alias, may be repeated; default: all that references load "
            "from and that have an outbox.",
        )
        parser.add_argument("--once", action="store_true", help="Apply what is there, and end.")
        parser.add_argument(
            "--interval",
            type=positive(float),
            help="Seconds between looks at an empty outbox (default: 1 where PostgreSQL notifies, "
            "else 0.1).",
        )
        parser.add_argument(
            "--batch", type=positive(int), default=BATCH, help="Changes at a time (%(default)s)."
        )
        parser.add_argument(
            "--report",
            type=positive(float),
            default=60.0,
            help="Seconds between reports (%(default)s).",
        )

    def handle(self, *_: Any, **options: Any) -> None:
        aliases, tally = _served(options["database"]), Tally()

        def tell(relayed: Relayed) -> None:
            tally.add(relayed)
            if options["verbosity"] > 1:
                words = in_words(len(relayed.lags), median(relayed.lags), max(relayed.lags))
                self._say(f"{relayed.alias}: {words}")

        with closing(Stop()) as stop:
            limits = {"interval": options["interval"], "batch": options["batch"]}
            try:
                relays = [Relay(alias, references, stop, tell, **limits) for alias in aliases]
            except NotSupportedError as exc:
                raise CommandError(str(exc)) from exc
            if options["once"]:
                self._drain(relays, tally)
            else:
                self._serve(relays, tally, stop, options["report"])

    def _drain(self, relays: list[Relay], tally: Tally) -> None:
        for relay in relays:
            try:
                relay.drain()
            except (DatabaseError, StoreUnavailable) as exc:
                raise CommandError(
                    f"{relay.alias}: {exc}. What was not applied stays in the outbox."
                ) from exc
            self._say(f"{relay.alias}: {tally.told(relay.alias)}")

    def _serve(self, relays: list[Relay], tally: Tally, stop: Stop, every: float) -> None:
        with _stopped_by_signals(stop), ThreadPoolExecutor(len(relays)) as threads:
            running = [threads.submit(relay.run) for relay in relays]
            self._say(f"Serving {', '.join(each.alias for each in relays)}.")
            try:
                while not _is_over(running, every):
                    self._report(relays, tally)
            finally:
                stop.set()
        self._report(relays, tally)
        for each in running:
            each.result()

    def _report(self, relays: list[Relay], tally: Tally) -> None:
        for relay in relays:
            try:
                backlog = str(relay.backlog())
            except DatabaseError:
                backlog = "unknown"
            connections[relay.alias].close()
            self._say(f"{relay.alias}: {tally.told(relay.alias)}, backlog {backlog}")

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()  # Who reads a pipe wants it now.


def _served(given: list[str] | None) -> list[str]:
    """The aliases to serve; one that cannot be asked now may come back."""
    aliases = chosen_aliases(given)
    served = []
    for alias in aliases:
        try:
            if given:
                check_outbox(alias)
            if has_outbox(alias):
                served.append(alias)
        except ImproperlyConfigured as exc:
            raise CommandError(str(exc)) from exc
        except DatabaseError:
            served.append(alias)
    if not served:
        raise CommandError(
            f"None of the databases that references load from has an outbox ({', '.join(aliases)})"
            ": add 'refcache.outbox' to INSTALLED_APPS, and run `manage.py migrate "
            "refcache_outbox --database ALIAS`."
        )
    return served


def _is_over(running: Sequence[Future[None]], timeout: float) -> bool:
    """Whether all have ended, or one by an error; asks for at most *timeout* seconds."""
    done, rest = wait(running, timeout, FIRST_EXCEPTION)
    return not rest or any(each.exception() for each in done)


@contextmanager
def _stopped_by_signals(stop: Stop) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # Python has signals for the main thread only.
        return
    before = {each: signal.signal(each, stop.set) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
