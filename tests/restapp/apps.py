from django.apps import AppConfig


class RestAppConfig(AppConfig):
    name = "tests.restapp"
    label = "restapp"

    def ready(self) -> None:
        from refcache import references  # noqa: PLC0415 - the apps must be there first

        references.register(
            "restapp.Buyer",
            fields=["name", "tier"],
            name="buyer",
            missing=lambda key: {"name": f"Unknown Buyer (ID: {key})"},
            filter={"is_active": True},
        )
        references.register("restapp.Buyer", fields=["name", "firm__name"], name="account")
        references.register(
            "restapp.Buyer",
            fields=["name"],
            name="listed",
            filter={"is_active": True},
            where=["tier", "firm__name"],
        )
        references.register("restapp.Gadget", fields=["serial"], name="gadget")
        references.register("restapp.Spot", fields=["label"], name="spot", key=("site", "number"))
        references.register("restapp.Gadget", fields=["serial"], name="by-serial", key="serial")
        references.register(
            "restapp.Represented",
            fields=[
                "binary", "choice", "date", "datetime", "decimal", "doubled", "duration", "dates",
                "file", "flag", "floating", "gadget", "json", "text", "time", "uuid",
            ],
            name="represented",
        )  # fmt: skip
        # By itself: drf-spectacular knows no type for it.
        references.register("restapp.Represented", fields=["span"], name="range")
