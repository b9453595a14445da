"""The app of the benchmarks' one model."""

from django.apps import AppConfig


class BenchmarksConfig(AppConfig):
    name = "benchmarks"

    def ready(self) -> None:
        from refcache import references  # noqa: PLC0415 - the apps must be there first

        references.register("benchmarks.Customer", fields=["name", "tier"], name="customer")
