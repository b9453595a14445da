"""refcache as an installed app: it registers its checks, and its extension where it is wanted."""

from importlib.util import find_spec

from django.apps import AppConfig


class RefcacheConfig(AppConfig):
    name = "refcache"

    def ready(self) -> None:
        from refcache import checks  # noqa: F401, PLC0415 - registers them
        from refcache.registry import references  # noqa: PLC0415 - needs the apps

        references.connect()
        if find_spec("drf_spectacular") and find_spec("rest_framework"):
            from refcache.contrib import spectacular  # noqa: F401, PLC0415 - registers itself
