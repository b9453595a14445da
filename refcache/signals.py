"""Signals for those who keep copies in step: denormalised columns, search indexes."""

from collections.abc import Callable, Iterable
from typing import Any

from django.dispatch import Signal

from refcache.core.events import Changed, Event

# Sent after the commit of a write that refcache has seen. `sender` is the model whose rows have
# changed. Also given:
#
#   reference  the name of a reference that reads those rows, through a relation perhaps
#   keys       a tuple of primary keys of the sender; None where any row may have changed
#   cause      "save", "insert", "update", "delete", "bulk_create", "bulk_update", "invalidate",
#              "relay" (somebody outside of Django), or "sql" (a statement that is none of these)
#
# A row may be named that has not changed in the end. With triggers installed, each change is told
# by its writer and once more by the relay.
reference_changed = Signal()


def tell_change(event: Event, readers: Callable[[str], Iterable[tuple[Any, str]]]) -> None:
    """Send the signal, where *event* is a change.

    Args:
        event: Any.
        readers: Gives the model and the names of the references that read entries of a name.
    """
    # Not has_listeners(), which knows nothing of those who listen to one sender.
    if not isinstance(event, Changed) or not reference_changed.receivers:
        return
    for model, name in readers(event.reference):
        reference_changed.send_robust(
            sender=model, reference=name, keys=event.keys, cause=event.cause
        )
