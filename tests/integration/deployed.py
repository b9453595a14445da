"""A process that runs one version of the code of an application, which has one model.

python -m tests.integration.deployed VERSION

Prints "ready", then one answer per command; each is a line of JSON.
"""

import json
import sys
import time
from io import StringIO
from typing import Any

import django

TABLE = "deployed_item"
NAME = "item"

NAMED = {"fields": ["name", "size"]}
# What each version's model has beside `name`, and what it registers.
VERSIONS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "base": (("size",), NAMED),
    "added": (("size", "note"), {"fields": ["name", "size", "note"]}),
    "removed": ((), {"fields": ["name"]}),
    "retyped": (("exact_size",), NAMED),
    "renamed": (("length",), {"fields": ["name", "length"]}),
    "filtered": (("size", "is_active"), NAMED | {"filter": {"is_active": True}}),
    "rekeyed": (("size", "code"), NAMED | {"key": "code"}),
    "raised": (("size",), NAMED | {"version": 2}),
}


def main(version: str) -> None:
    django.setup()
    attributes, declaration = VERSIONS[version]
    model = _model(attributes)
    from refcache import references  # noqa: PLC0415 - after setup()

    references.register(model, name=NAME, **declaration)
    commands = Commands(model, declaration)
    _say("ready")
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        _say(getattr(commands, name)(*arguments))


def _model(attributes: tuple[str, ...]) -> Any:
    from django.db import models  # noqa: PLC0415

    columns: dict[str, Any] = {
        "size": models.IntegerField(null=True),
        "note": models.CharField(max_length=50, default=""),
        "length": models.IntegerField(db_column="size", null=True),
        "is_active": models.BooleanField(default=True),
        "code": models.CharField(max_length=20, unique=True),
    }
    fields = {name: columns[name] for name in attributes if name in columns}
    if "exact_size" in attributes:
        fields["size"] = models.DecimalField(max_digits=12, decimal_places=2, null=True)
    meta = type("Meta", (), {"app_label": "testapp", "db_table": TABLE, "managed": False})
    body = {"name": models.CharField(max_length=50), "Meta": meta, "__module__": __name__}
    return type("Item", (models.Model,), body | fields)


class Commands:
    """What a version can be told to do; rows are named by their primary keys."""

    def __init__(self, model: Any, declaration: dict[str, Any]) -> None:
        self._model = model
        self._is_by_code = declaration.get("key") == "code"

    def read(self, pks: list[int]) -> object:
        from refcache import references  # noqa: PLC0415
        from tests.integration.watching import rows_read  # noqa: PLC0415

        keys: dict[Any, int] = {f"c{pk}" if self._is_by_code else pk: pk for pk in pks}
        with rows_read() as counts:
            found = references[NAME].get_many(list(keys))
        fields = self._fields()
        rows = [
            (keys[key], {name: _plain(row[name]) for name in fields}) for key, row in found.items()
        ]
        return rows, sum(counts)

    def write(self, pk: int, values: dict[str, Any]) -> object:
        """As the version's own code does: all columns that it knows."""
        item = self._model.objects.get(pk=pk)
        for name, value in values.items():
            setattr(item, name, value)
        item.save()
        return None

    def warm(self) -> object:
        from django.core.management import call_command  # noqa: PLC0415

        out = StringIO()
        call_command("refcache_warm", NAME, stdout=out)
        return out.getvalue()

    def hammer(self, pks: list[int], seconds: float) -> object:
        """Count names up and read them; what a row's name was before it is never read again."""
        from django.db.models import CharField, F, IntegerField  # noqa: PLC0415
        from django.db.models.functions import Cast  # noqa: PLC0415

        seen, odd, turns = dict.fromkeys(pks, 0), [], 0
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            turns += 1
            one_more = Cast(Cast(F("name"), IntegerField()) + 1, CharField())
            self._model.objects.filter(pk=pks[turns % len(pks)]).update(name=one_more)
            rows: Any = self.read(pks)
            for pk, row in rows[0]:
                if int(row["name"]) < seen[pk]:
                    odd.append(f"{pk}: {row['name']} after {seen[pk]}")
                seen[pk] = int(row["name"])
        return turns, odd

    def _fields(self) -> list[str]:
        from refcache import references  # noqa: PLC0415

        return [str(name) for name in references.plan(NAME).declaration.fields]


def _plain(value: object) -> object:
    return value if isinstance(value, int | str | None) else f"{type(value).__name__}:{value}"


def _say(answer: object) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
