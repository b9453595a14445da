"""Hints beyond Django's own, for the routers that take them."""

from collections.abc import Callable
from functools import lru_cache
from inspect import Parameter, signature
from typing import Any

from django.db import router

EVERYTHING = None


def accepted(action: str, hints: dict[str, Any]) -> dict[str, Any]:
    """Those of *hints* that every router's method *action* takes.

    Django hands all routers the same ones, and a router that takes no `**hints` would raise
    TypeError. Its signature is asked instead of catching that, which could be the router's own.
    """
    # A loop that mostly makes nothing: this is asked at every read.
    for each in router.routers:
        method = getattr(each, action, None)
        if method is None:
            continue
        names = _names(getattr(method, "__func__", method))
        if names is not EVERYTHING:
            hints = {name: hint for name, hint in hints.items() if name in names}
    return hints


@lru_cache(maxsize=64)  # A project has a few routers.
def _names(function: Callable[..., Any]) -> frozenset[str] | None:
    """The names that it may be given; None: every one."""
    try:
        parameters = signature(function).parameters.values()
    except (TypeError, ValueError):  # Not written in Python.
        return frozenset()
    if any(each.kind is Parameter.VAR_KEYWORD for each in parameters):
        return EVERYTHING
    by_name = (Parameter.KEYWORD_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    return frozenset(each.name for each in parameters if each.kind in by_name)
