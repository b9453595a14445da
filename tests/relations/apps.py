from django.apps import AppConfig


class RelationsConfig(AppConfig):
    name = "tests.relations"
    label = "relations"

    def ready(self) -> None:
        from refcache import references  # noqa: PLC0415 - the apps must be there first

        references.register(
            "relations.Client",
            fields=["name", "tier"],
            name="client",
            missing=lambda key: {"name": f"Unknown Client (ID: {key})"},
        )
        references.register("relations.Machine", fields=["serial"], name="machine")
        references.register(
            "relations.Place", fields=["label"], name="place", key=("site", "number")
        )
        references.register(
            "relations.Client", fields=["name"], name="client-or-none", on_error="omit"
        )
