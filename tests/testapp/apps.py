from django.apps import AppConfig


class TestAppConfig(AppConfig):
    name = "tests.testapp"
    label = "testapp"

    def ready(self) -> None:
        from refcache import references  # noqa: PLC0415 - the apps must be there first

        references.register(
            "testapp.Customer",
            fields=["name", "tier", "company__name"],
            name="customer",
            missing=lambda key: {"name": f"Unknown Customer (ID: {key})"},
        )
        references.register("testapp.Device", fields=["serial"], name="device")
        references.register("testapp.Meter", fields=["unit"], name="meter", key=("site", "number"))
