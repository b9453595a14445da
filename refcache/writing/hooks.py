"""All that sees writes, for one registry: signals, bulk writes, statements."""

from collections.abc import Callable, Iterable, Sequence

from django.db.models import Model

from refcache.reading.watched import Watch
from refcache.writing.announced import Announced
from refcache.writing.invalidation import Invalidation
from refcache.writing.receivers import Receivers
from refcache.writing.sql_watcher import SqlWatcher
from refcache.writing.watches import Watches


class Hooks:
    """Sees writes and has them marked.

    Args:
        current: Gives the watches as they now are.
        invalidation: Marks and releases.
    """

    def __init__(
        self,
        current: Callable[[], Sequence[Watch]],
        invalidation: Callable[[], Invalidation],
    ) -> None:
        self.watches = Watches(current)
        announced = Announced()
        self._receivers = Receivers(self.watches, invalidation, announced)
        self._sql_watcher = SqlWatcher(self.watches, invalidation, announced)

    def connect(self, models: Iterable[type[Model]]) -> None:
        """Look at writes of *models*, and at all statements; harmless when repeated."""
        self._sql_watcher.connect()
        for model in models:
            self._receivers.connect(model)
