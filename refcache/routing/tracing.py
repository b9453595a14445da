"""To see what routers decide: `RouterTrace`, with the help of `TracingRouter`."""

from collections.abc import Callable
from contextlib import ExitStack
from contextvars import ContextVar
from itertools import groupby
from typing import Any, Literal, Self, TypeVar

from django.core.exceptions import ImproperlyConfigured
from django.db import connections, router
from django.db.models import Model

from refcache.routing.frames import prefetching_alias, user_place
from refcache.routing.steps import Decision, Statement, Step

T = TypeVar("T", str, bool)

_active: ContextVar[tuple["RouterTrace", ...]] = ContextVar("active", default=())


class TracingRouter:
    """Tells every active `RouterTrace`, and has no opinion of its own.

    The first of `DATABASE_ROUTERS`. While there is a trace, it asks Django's router once more, to
    which it then has no opinion, and gives that answer: the others are asked once, as ever, and
    what comes of it is known, be it Django's own choice.
    """

    def db_for_read(self, model: type[Model], **hints: Any) -> str | None:
        return _decided("read", lambda: router.db_for_read(model, **hints), [model], hints)

    def db_for_write(self, model: type[Model], **hints: Any) -> str | None:
        return _decided("write", lambda: router.db_for_write(model, **hints), [model], hints)

    def allow_relation(self, first: Model, second: Model, **hints: Any) -> bool | None:
        told = {"value": first, "instance": second, **hints}
        models = [type(first), type(second)]
        return _decided(
            "relation", lambda: router.allow_relation(first, second, **hints), models, told
        )


class RouterTrace:
    """Every decision of the routers within the block, and every statement of this thread.

    Nothing is patched: a router of one's own tells of the decisions, which is why it has to be in
    the settings, and Django's `execute_wrapper` of the statements. `print(trace)` shows a line for
    each; the marked ones read rows from another alias than that of their parents.

    Raises:
        ImproperlyConfigured: `TracingRouter` is not the first of `DATABASE_ROUTERS`.
    """

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._stack = ExitStack()

    @property
    def decisions(self) -> list[Decision]:
        return [each for each in self.steps if isinstance(each, Decision)]

    @property
    def statements(self) -> list[Statement]:
        return [each for each in self.steps if isinstance(each, Statement)]

    @property
    def leaving(self) -> list[Step]:
        """The reads that leave the alias of their parents."""
        return [each for each in self.steps if each.leaves]

    def __enter__(self) -> Self:
        # An undocumented attribute, but only read: the settings may name classes or instances.
        if not any(isinstance(each, TracingRouter) for each in router.routers[:1]):
            raise ImproperlyConfigured(
                "A RouterTrace hears of the routers' decisions from a router that comes first: "
                'DATABASE_ROUTERS = ["refcache.routing.TracingRouter", ...].'
            )
        with ExitStack() as stack:
            for alias in connections:
                stack.enter_context(connections[alias].execute_wrapper(self._execute))
            stack.callback(_active.reset, _active.set((*_active.get(), self)))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def __str__(self) -> str:
        lines = [_line(each) for each in self.steps]
        return "\n".join(
            f"{line} (x{count})" if (count := len(list(same))) > 1 else line
            for line, same in groupby(lines)
        )

    def _execute(
        self,
        execute: Callable[..., Any],
        sql: str,
        params: Any,
        many: bool,  # noqa: FBT001 - Django's
        context: dict[str, Any],
    ) -> Any:
        alias = context["connection"].alias
        self.steps.append(Statement(alias, str(sql), prefetching_alias(), user_place()))
        return execute(sql, params, many, context)


def _decided(
    operation: Literal["read", "write", "relation"],
    ask: Callable[[], T],
    models: list[type[Model]],
    hints: dict[str, Any],
) -> T | None:
    """What *ask* gives, which the traces are told; None where there is no trace."""
    if not (traces := _active.get()):
        return None
    token = _active.set(())
    try:
        answer = ask()
    finally:
        _active.reset(token)
    instance = hints.get("instance")
    parent = instance._state.db if isinstance(instance, Model) else prefetching_alias()
    labels = ", ".join(each._meta.label for each in models)
    told = {name: _shown(hint) for name, hint in hints.items()}
    decision = Decision(operation, labels, told, parent, answer, user_place())
    for trace in traces:
        trace.steps.append(decision)
    return answer


def _shown(hint: object) -> str:
    """An instance by its model, key and alias: its own `str()` might send queries."""
    if not isinstance(hint, Model):
        return repr(hint)
    key = hint.__dict__.get(hint._meta.pk.attname)
    return f"{hint._meta.label}(pk={key!r}) of {hint._state.db!r}"


def _line(step: Step) -> str:
    mark = f"  !! leaves {step.parent!r}" if step.leaves else ""
    return f"{step}{mark}" + (f"\n    {step.place}" if step.place else "")
