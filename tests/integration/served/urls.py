"""What is served: pages of customers, and who has answered."""

import os
import threading
from collections.abc import Mapping

from django.http import HttpRequest, JsonResponse
from django.urls import path

from refcache import Snapshot, Staleness, references

references.register("testapp.Customer", ["name"], name="served")
# Old at once, and served all the same.
references.register(
    "testapp.Customer", ["name"], name="old", ttl=0.001, staleness=Staleness(while_revalidate=3600)
)


def page(_: HttpRequest, name: str, keys: str) -> JsonResponse:
    return _answer(references[name].get_many(keys.split(",")))


async def apage(_: HttpRequest, name: str, keys: str) -> JsonResponse:
    return _answer(await references[name].aget_many(keys.split(",")))


def _answer(found: Mapping[object, Snapshot]) -> JsonResponse:
    names = [row.name for row in found.values()]
    threads = [thread.name for thread in threading.enumerate()]
    return JsonResponse({"names": names, "pid": os.getpid(), "threads": threads})


urlpatterns = [path("sync/<name>/<keys>", page), path("async/<name>/<keys>", apage)]
