"""refcache as an installed app: it registers its checks, and its extension where it is wanted."""

from importlib import import_module
from importlib.util import find_spec

from django.apps import AppConfig, apps

# What registers itself, when it is imported, with a package that goes with REST framework.
EXTENSIONS = {"drf_spectacular": "refcache.contrib.spectacular"}


class RefcacheConfig(AppConfig):
    name = "refcache"

    def ready(self) -> None:
        from refcache import checks  # noqa: F401, PLC0415 - registers them
        from refcache.registry import references  # noqa: PLC0415 - needs the apps

        references.connect()
        if not apps.is_installed("rest_framework"):
            return
        for package, extension in EXTENSIONS.items():
            if find_spec(package):
                import_module(extension)
