"""What begins and ends with a process: neither hook keeps alive the object that is called."""

import atexit
import os
from collections.abc import Callable
from weakref import WeakMethod


def after_fork(forget: Callable[[], None]) -> None:
    """Call the bound method *forget* in every child: threads and locks are its parent's."""
    os.register_at_fork(after_in_child=_weak(forget))


def at_exit(end: Callable[[], None]) -> None:
    """Call the bound method *end* when the interpreter ends."""
    atexit.register(_weak(end))


def _weak(call: Callable[[], None]) -> Callable[[], None]:
    method = WeakMethod(call)

    def call_if_alive() -> None:
        if (alive := method()) is not None:
            alive()

    return call_if_alive
