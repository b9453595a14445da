"""The table of docs/routing.md: `python -m tests.routing.table` prints it.

Every operation is run on two SQLite databases, with a router that notes what it is asked, and
has no opinion.
"""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from copy import copy
from typing import Any

import django
from asgiref.sync import async_to_sync
from django.conf import settings
from django.db import connections, transaction
from django.db.models import Max, Model, Prefetch, prefetch_related_objects

from tests.routing.operations import SECTIONS

ALIASES = ("default", "replica")
_kept: list[Any] = []  # Peers are forgotten when nobody else holds them.
HEADER = "| operation | routers are asked to | statements |\n| --- | --- | --- |"


class Recorder:
    """Notes the questions, once each: how often differs between Django's versions."""

    asked: dict[str, None] = {}

    def db_for_read(self, model: type[Model], **hints: Any) -> None:
        self._note("read", model, hints)

    def db_for_write(self, model: type[Model], **hints: Any) -> None:
        self._note("write", model, hints)

    def allow_relation(self, first: Model, second: Model, **hints: Any) -> None:
        assert not hints
        self.asked[f"relate {_shown(first)} to {_shown(second)}"] = None

    def _note(self, verb: str, model: type[Model], hints: dict[str, Any]) -> None:
        given = [f"{name} {_shown(hint)}" for name, hint in hints.items()]
        told = f": **{', '.join(given)}**" if given else ""
        self.asked[f"{verb} {model.__name__}{told}"] = None


def _shown(instance: Model) -> str:
    return f"{type(instance).__name__} of {instance._state.db}"


def set_up() -> None:
    settings.configure(
        INSTALLED_APPS=["django.contrib.contenttypes", "tests.routing"],
        DATABASES={
            alias: {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"} for alias in ALIASES
        },
        DATABASE_ROUTERS=[Recorder()],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        USE_TZ=True,
    )
    django.setup()


def lines() -> Iterator[str]:
    """The table, a heading and rows for each section."""
    for title, operations in SECTIONS.items():
        if "6.1" in title and django.VERSION < (6, 1):
            continue
        yield f"### {title}\n\n{HEADER}"
        for operation in operations:
            asked, sent = observe(operation)
            yield f"| `{operation}` | {'; '.join(asked) or '-'} | {', '.join(sent) or '-'} |"
        yield ""


def observe(operation: str) -> tuple[list[str], list[str]]:
    """What routers were asked, and which statements went where, in order."""
    names = _names()
    with ExitStack() as stack:
        for alias in ALIASES:
            stack.enter_context(transaction.atomic(using=alias))
            stack.callback(transaction.set_rollback, True, using=alias)  # noqa: FBT003 - Django's
        names |= _instances(names)
        Recorder.asked = {}
        with _statements() as sent:
            try:
                _run(operation, names)
            except ValueError as exc:  # A relation that is not allowed.
                sent[type(exc).__name__] = None
        return list(Recorder.asked), list(sent)


def _run(operation: str, names: dict[str, Any]) -> None:
    if not operation.startswith("await "):
        exec(operation, names)  # noqa: S102 - what this file is for
        return
    exec(f"async def run(): {operation}", names)  # noqa: S102 - as above
    async_to_sync(names["run"])()


def _names() -> dict[str, Any]:
    # They can be imported when Django is set up.
    from django.contrib.contenttypes.models import ContentType  # noqa: PLC0415
    from django.forms import ModelChoiceField  # noqa: PLC0415

    from refcache.routing import prefetch_using  # noqa: PLC0415
    from tests.routing import models  # noqa: PLC0415

    return {
        **vars(models),
        "ContentType": ContentType,
        "Max": Max,
        "ModelChoiceField": ModelChoiceField,
        "Prefetch": Prefetch,
        "copied": _copied,
        "peers": _peers,
        "prefetch_related_objects": prefetch_related_objects,
        "prefetch_using": prefetch_using,
    }


def _instances(names: dict[str, Any]) -> dict[str, Model]:
    def read(model: str, pk: int, alias: str = "replica") -> Model:
        instance: Model = names[model].objects.using(alias).get(pk=pk)
        return instance

    # So that no content type but others has to be read.
    names["ContentType"].objects.clear_cache()
    for alias in ALIASES:
        types = names["ContentType"].objects.db_manager(alias)
        types.get_for_models(names["Book"], names["Author"], names["Item"])
    return {
        "author": read("Author", 1),
        "other_author": read("Author", 2),
        "book": read("Book", 1),
        "main_book": read("Book", 1, "default"),
        "tag": read("Tag", 1),
        "item": read("Item", 1),
        "profile": read("Profile", 1),
        "other_profile": read("Profile", 2),
        "place": read("Place", 1),
        "cafe": read("Cafe", 1),
    }


def _copied(instance: Model) -> Model:
    """As one copies a row: without its key."""
    instance = copy(instance)
    instance.pk = None
    return instance


def _peers(model: Any, *deferred: str) -> list[Any]:
    # There since Django 6.1.
    from django.db.models import FETCH_PEERS  # noqa: PLC0415

    found = list(model.objects.using("replica").defer(*deferred).fetch_mode(FETCH_PEERS))
    _kept[:] = found
    return found


@contextmanager
def _statements() -> Iterator[dict[str, None]]:
    """Verb and alias of the block's statements, once each; those of transactions left out."""
    sent: dict[str, None] = {}

    def note(execute: Any, sql: str, params: Any, many: Any, context: dict[str, Any]) -> Any:
        verb = sql.split(None, 1)[0]
        if verb not in ("SAVEPOINT", "RELEASE", "ROLLBACK"):
            sent[f"{verb} on {context['connection'].alias}"] = None
        return execute(sql, params, many, context)

    with ExitStack() as stack:
        for alias in ALIASES:
            stack.enter_context(connections[alias].execute_wrapper(note))
        yield sent


def main() -> None:
    set_up()
    from tests.routing.data import copy_types, create_tables, fill  # noqa: PLC0415 - as above

    for alias in ALIASES:
        create_tables(alias)
    copy_types(*ALIASES)
    for alias in ALIASES:
        fill(alias)
    sys.stdout.write("\n".join(lines()))


if __name__ == "__main__":
    main()
