"""`manage.py refcache_routes`: which database each query of a page goes to, and who decides."""

from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from django.test import Client
from django.utils.module_loading import import_string

from refcache.routing import RouterTrace


class Command(BaseCommand):
    help = (
        "Request a path, or call a function, and print what routers decide: each decision with "
        "its hints, the statements, and the line of code. Reads that leave the alias of their "
        "parents are marked. What is written is not undone."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "target",
            help="A path, as in '/orders/?page=1', or a function that takes no arguments, as in "
            "shop.reports.monthly.",
        )
        parser.add_argument("--host", default="localhost", help="Of the request.")
        parser.add_argument("--user", help="Whose name the request is made in.")
        parser.add_argument(
            "--fail", action="store_true", help="End with an error if a read is marked."
        )

    def handle(self, *_: Any, **options: Any) -> None:
        target = options["target"]
        run = self._request if target.startswith("/") else self._call
        act = run(target, options)
        try:
            with RouterTrace() as trace:
                what = act()
        except ImproperlyConfigured as exc:
            raise CommandError(str(exc)) from exc
        if trace.steps:
            self.stdout.write(str(trace))
        marked = len(trace.leaving)
        self.stdout.write(
            f"{what}; {len(trace.decisions)} decisions, {len(trace.statements)} statements; "
            f"{marked} of them marked."
        )
        if options["fail"] and marked:
            raise CommandError(f"{marked} decisions and statements leave their parents' alias.")

    def _request(self, path: str, options: dict[str, Any]) -> Callable[[], str]:
        client = Client(SERVER_NAME=options["host"])
        if name := options["user"]:
            model = get_user_model()
            try:
                client.force_login(model._default_manager.get_by_natural_key(name))
            except model.DoesNotExist as exc:
                raise CommandError(f"There is no user {name!r}.") from exc
        return lambda: f"GET {path} gave {client.get(path).status_code}"

    def _call(self, name: str, _: dict[str, Any]) -> Callable[[], str]:
        if "." not in name:
            raise CommandError(
                f"{name!r} is neither a path, which begins with '/', nor the dotted name of a "
                "function."
            )
        try:
            function = import_string(name)
        except ImportError as exc:
            raise CommandError(f"{name!r} cannot be called: {exc}") from exc
        if not callable(function):
            raise CommandError(f"{name!r} cannot be called: it is no function.")

        def call() -> str:
            function()
            return f"{name}() is done"

        return call
