"""Whose code is running: the line that a query is for, and the instances that it is for."""

import sysconfig
from collections.abc import Iterator
from pathlib import Path
from traceback import walk_stack
from types import FrameType

import django
from django.db.models import Model

import refcache
from refcache.routing.steps import Place

OWN = tuple(f"{Path(each.__file__ or '').parent}/" for each in (django, refcache))
INSTALLED = tuple(
    f"{sysconfig.get_path(name)}/" for name in ("stdlib", "platstdlib", "purelib", "platlib")
)
# The Django function that reads the rows of one step of a prefetch, for its `instances`.
PREFETCHING = "prefetch_one_level"


def user_place() -> Place | None:
    """The innermost line that is neither Django's nor refcache's.

    If possible, nor of any other installed package: a view's line says more than the line of the
    REST framework that evaluates its queryset.
    """
    others = [each for each in _frames() if not each.f_code.co_filename.startswith(OWN)]
    mine = (
        each for each in others if not each.f_code.co_filename.startswith((*INSTALLED, "<frozen"))
    )
    frame = next(mine, others[0] if others else None)
    if frame is None:
        return None
    return Place(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_qualname)


def prefetching_alias() -> str | None:
    """The alias of the instances that rows are being prefetched for; None: none are.

    No hint tells for a GenericForeignKey, nor for a queryset that names its database, so it is
    looked up where Django keeps them. Where that is not to be found, nothing is flagged.
    """
    for frame in _frames():
        code = frame.f_code
        if code.co_name == PREFETCHING and code.co_filename.startswith(OWN):
            instances = frame.f_locals.get("instances") or [None]
            return instances[0]._state.db if isinstance(instances[0], Model) else None
    return None


def _frames() -> Iterator[FrameType]:
    """From the innermost outwards."""
    return (frame for frame, _ in walk_stack(None))
