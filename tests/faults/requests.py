"""What a server of requests does to Django's connections, for processes that serve none."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections

from refcache import references
from tests.faults.project import REFERENCE

Values = list[tuple[int, int | None]]


def page(keys: range) -> Values:
    """Every key's value, read on connections that are opened now and closed afterwards."""
    try:
        found = references[REFERENCE].get_many(keys)
        return [(key, found[key].value if key in found else None) for key in keys]
    finally:
        connections.close_all()


def close_broken() -> None:
    """Close this thread's connections that have seen an error, as the end of a request does.

    Without asking them first, which takes for ever while the database hangs.
    """
    for connection in connections.all(initialized_only=True):
        if connection.errors_occurred:
            connection.errors_occurred = False
            connection.close()


@contextmanager
def after_statements(act: Callable[[str, Any], None]) -> Iterator[None]:
    """Calls *act* as soon as a statement of this thread, to `default`, has been executed."""

    def wrapper(execute: Callable[..., Any], sql: str, params: Any, *rest: Any) -> Any:
        result = execute(sql, params, *rest)
        act(sql, params)
        return result

    # The innermost, as it comes last: before whatever refcache does then.
    with connections["default"].execute_wrapper(wrapper):
        yield
