"""What makes the protocol's generators run: one loop for threads, one for event loops."""

from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeVar

T = TypeVar("T")
Asked = TypeVar("Asked")


def run(steps: Generator[Asked, Any, T], perform: Callable[[Asked], Any]) -> T:
    """Perform every operation of *steps* here and now; what fails is thrown back into it."""
    try:
        operation = next(steps)
        while True:
            try:
                result = perform(operation)
            except BaseException as exc:  # noqa: BLE001 - it comes out again, or is dealt with
                operation = steps.throw(exc)
            else:
                operation = steps.send(result)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]  # typeshed: the value is untyped


async def arun(steps: Generator[Asked, Any, T], perform: Callable[[Asked], Awaitable[Any]]) -> T:
    """As `run`, awaiting each operation."""
    try:
        operation = next(steps)
        while True:
            try:
                result = await perform(operation)
            except BaseException as exc:  # noqa: BLE001 - as above; a cancellation, too
                operation = steps.throw(exc)
            else:
                operation = steps.send(result)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]  # typeshed: the value is untyped
