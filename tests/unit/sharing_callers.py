"""Callers of shared loads that are played by hand, one step of one of them at a time."""

from collections.abc import Hashable, Mapping
from typing import Any, Self

from refcache.core.keys import family, schema_id
from refcache.core.operations import Load, Loaded, LoadRequest, Turn
from refcache.core.sources import Source
from refcache.reading.sharing import Sharing

Rows = Mapping[Hashable, tuple[Any, ...]]


def source(name: str) -> Source:
    return Source(
        family(b"", name),
        schema_id(1, "aaaaaaaa"),
        (),
        _code,
        _code,
        _code,
        ttl=60,
        negative_ttl=60,
    )


def _code(value: Any) -> Any:
    return value


CUSTOMERS, DEVICES = source("customer"), source("device")


class Caller:
    """Somebody's shared load, which stops at each of its operations."""

    def __init__(
        self,
        sharing: Sharing,
        *keys: Hashable,
        of: tuple[Source, ...] = (CUSTOMERS,),
        primary: bool = True,
        seconds: float | None = None,
    ) -> None:
        requests = [LoadRequest(each, keys, primary) for each in of]
        self.steps = sharing.steps(Load(requests, is_shared=True, seconds=seconds))
        self.operation: Load | Turn | None = next(self.steps)
        self.loaded = Loaded((), (), ())

    @property
    def keys(self) -> list[Hashable]:
        """What it loads, now that it leads."""
        assert isinstance(self.operation, Load)
        (request,) = self.operation.requests
        return list(request.keys)

    @property
    def rows(self) -> Rows:
        assert self.operation is None
        return self.loaded.rows[0]

    @property
    def failures(self) -> Mapping[Hashable, Exception]:
        assert self.operation is None
        return self.loaded.failures[0]

    @property
    def is_waiting(self) -> bool:
        return isinstance(self.operation, Turn) and not self.operation.future.done()

    def reply(self, reply: Any) -> Self:
        return self._go_on(lambda: self.steps.send(reply))

    def fail(self, error: BaseException) -> Self:
        return self._go_on(lambda: self.steps.throw(error))

    def told(self) -> Self:
        """Its turn has come."""
        assert isinstance(self.operation, Turn)
        assert self.operation.future.done()
        return self.reply(self.operation.future.result())

    def load(self, value: object = "new", **failures: Exception) -> Self:
        """Every key has a row with *value*, but those named `key_…`, which have failed."""
        errors = {key: failures[f"key_{key}"] for key in self.keys if f"key_{key}" in failures}
        rows = {key: (key, value) for key in self.keys if key not in errors}
        return self.reply(Loaded([rows], [True], [errors]))

    def _go_on(self, step: Any) -> Self:
        try:
            self.operation = step()
        except StopIteration as stop:
            self.operation, self.loaded = None, stop.value
        return self


def is_free(sharing: Sharing) -> bool:
    """Whether nothing is kept of those who have come and gone."""
    return not sharing._gates and not sharing._leaving
