"""What the commands of the outbox have in common: which databases, which tables."""

from argparse import ArgumentTypeError
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from django.core.management.base import CommandError
from django.db import connections

from refcache.core.composition import Node
from refcache.core.exceptions import RefcacheError
from refcache.core.keys import Family
from refcache.registry import references
from refcache.writing.tables import Table

N = TypeVar("N", int, float)


def chosen_aliases(given: Sequence[str] | None) -> list[str]:
    """The aliases that were named, or all that references load from; n >= 1.

    Raises:
        CommandError: An alias is none, or no reference loads from it.
    """
    for alias in given or ():
        if alias not in connections:
            known = ", ".join(connections)
            raise CommandError(f"{alias!r} is no alias of DATABASES (known: {known}).")
        if not references.tables(alias):
            known = ", ".join(references.aliases()) or "none"
            raise CommandError(f"No reference loads from {alias!r} (they load from: {known}).")
    aliases = list(dict.fromkeys(given)) if given else references.aliases()
    if not aliases:
        raise CommandError("No reference is registered, so there is no table to watch.")
    return aliases


def chosen_tables(names: Sequence[str], aliases: Sequence[str]) -> dict[str, dict[str, Table]]:
    """The tables by alias, named as such or by the references that read them; no name: all.

    An alias that has none of the named is left out.

    Raises:
        CommandError: A name is neither.
    """
    if not names:
        return {alias: dict(references.tables(alias)) for alias in aliases}
    found: dict[str, dict[str, Table]] = {}
    for name in names:
        of_name = {alias: _tables(name, alias) for alias in aliases}
        for alias, tables in of_name.items():
            found[alias] = found.get(alias, {}) | tables
        if not any(of_name.values()):
            raise CommandError(
                f"{name!r} is no reference, and no table that references read in "
                f"{', '.join(aliases)} (tables there: {', '.join(_known(aliases))})."
            )
    return {alias: tables for alias, tables in found.items() if tables}


def _tables(name: str, alias: str) -> dict[str, Table]:
    """The tables of *alias* that *name* stands for."""
    tables = references.tables(alias)
    if name in tables:
        return {name: tables[name]}
    if name not in references:
        return {}
    try:
        families = set(_families(references.plan(name).node))
    except RefcacheError as exc:
        raise CommandError(str(exc)) from exc
    return {
        table: each
        for table, each in tables.items()
        if any(watched.watch.family in families for watched in each.watched)
    }


def _families(node: Node) -> Iterator[Family]:
    yield node.rows.family
    for span in node.spans:
        yield from _families(span.node)


def _known(aliases: Sequence[str]) -> list[str]:
    return sorted({name for alias in aliases for name in references.tables(alias)})


def positive(kind: Callable[[str], N]) -> Callable[[str], N]:
    """An argument's type: a number above zero."""

    def parse(text: str) -> N:
        try:
            number = kind(text)
        except ValueError:
            number = kind("0")
        if not 0 < number < float("inf"):
            raise ArgumentTypeError(f"{text!r} is no number above 0")
        return number

    return parse
