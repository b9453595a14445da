"""Which actors come to the simulator's town, by seed."""

from collections.abc import Sequence
from random import Random

from refcache.core.keys import Key
from refcache.core.pages import Mode
from refcache.core.staleness import FRESH, Policy
from refcache.core.writes import KnownSchemas
from tests.simulation.actors import Actor, Reader, Stranger, Writer
from tests.simulation.town import (
    COMPANIES,
    LISTS,
    NAMES,
    PEOPLE,
    VIEWS,
    Company,
    Person,
    Place,
    Row,
)

PKS = range(1, 5)
COMPANY_PKS = range(1, 3)
NAMES_TAKEN = ("ann", "bob", "cem", "dot", "eve")
MODES = (Mode.TRUST, Mode.TRUST, Mode.TRUST, Mode.REFRESH, Mode.RELOAD)
PROCESSES = 3
WINDOWS_MS = (0, 1_000, 60_000, 600_000)  # at most `town.TOLERANCE`


def founders(random: Random) -> list[Row]:
    people = [
        Person(pk, name, random.choice([None, *COMPANY_PKS]))
        for pk, name in zip(PKS, NAMES_TAKEN, strict=False)
        if random.random() < 0.8
    ]
    return [*people, *(Company(pk, f"company {pk}") for pk in COMPANY_PKS)]


def actors(random: Random) -> list[Actor]:
    """Some thirty; a process knows of schemas what its writers have learned."""
    known: list[KnownSchemas] = [{} for _ in range(PROCESSES)]
    cast: list[Actor] = [reader(random) for _ in range(random.randrange(10, 24))]
    cast += [_writer(random, known, number) for number in range(random.randrange(3, 9))]
    random.shuffle(cast)
    return cast


def reader(random: Random) -> Reader:
    wanted = [_some(random) for _ in range(random.choice([1, 1, 2, 3]))]
    return Reader(
        random.choice(VIEWS),
        wanted,
        random.choice(MODES),
        random.random() < 0.9,
        _policy(random),
        random.randrange(PROCESSES),
    )


def _policy(random: Random) -> Policy:
    if random.random() < 0.4:
        return FRESH
    return Policy(
        random.choice(WINDOWS_MS),
        random.choice(WINDOWS_MS),
        random.choice([None, None, 0.004, 0.02]),
        random.choice([None, None, 0.02, 0.1]),
    )


def _some(random: Random) -> tuple[str, Sequence[Key]]:
    kind = random.choice([PEOPLE, PEOPLE, NAMES, NAMES, COMPANIES, LISTS])
    keys: Sequence[Key] = dict(all_keys())[kind]
    return kind, random.sample(list(keys), random.randrange(1, len(keys) + 1))


def all_keys() -> list[tuple[str, Sequence[Key]]]:
    companies = tuple(COMPANY_PKS)
    return [(PEOPLE, tuple(PKS)), (NAMES, NAMES_TAKEN), (COMPANIES, companies), (LISTS, companies)]


def _writer(random: Random, known: list[KnownSchemas], number: int) -> Actor:
    process = random.randrange(PROCESSES)
    changes = random.choice([_one, _one, _swap, _rename])(random, number)
    if random.random() < 0.15:
        return Stranger(changes, known[process], whole=random.random() < 0.3)
    return Writer(
        changes,
        known[process],
        whole=random.random() < 0.2,
        locks_first=random.random() < 0.5,
        commits=random.random() < 0.8,
        process=process,
        is_strict=random.random() < 0.7,
    )


Changes = dict[Place, Row | None]


def _one(random: Random, _: int) -> Changes:
    """A person is created, changed or deleted."""
    pk = random.choice(PKS)
    if random.random() < 0.25:
        return {(PEOPLE, pk): None}
    company = random.choice([None, *COMPANY_PKS])
    return {(PEOPLE, pk): Person(pk, random.choice(NAMES_TAKEN), company)}


def _swap(random: Random, _: int) -> Changes:
    """Two people take names at once, perhaps each other's."""
    pks, names = random.sample(PKS, 2), random.sample(NAMES_TAKEN, 2)
    company = random.choice([None, *COMPANY_PKS])
    return {(PEOPLE, pk): Person(pk, name, company) for pk, name in zip(pks, names, strict=True)}


def _rename(random: Random, number: int) -> Changes:
    pk = random.choice(COMPANY_PKS)
    return {(COMPANIES, pk): Company(pk, f"renamed {number}")}
