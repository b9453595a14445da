"""refcache as an installed app: it registers its checks, and its extension where it is wanted."""

from importlib import import_module
from importlib.util import find_spec

from django.apps import AppConfig

# What registers itself with an optional package when it is imported.
EXTENSIONS = {"drf_spectacular": "refcache.contrib.spectacular"}


class RefcacheConfig(AppConfig):
    name = "refcache"

    def ready(self) -> None:
        from refcache import checks  # noqa: F401, PLC0415 - registers them
        from refcache.registry import references  # noqa: PLC0415 - needs the apps

        references.connect()
        for package, extension in EXTENSIONS.items():
            if find_spec(package):
                import_module(extension)
