"""Rolling deploys: several versions of the code, each in a process of its own, at the same rows."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
import redis
from django.db import connections

from tests.integration.deployed import TABLE, VERSIONS
from tests.integration.deploys import Version, deployed
from tests.integration.serving import new_name
from tests.integration.watching import execute_unseen

pytestmark = pytest.mark.django_db(transaction=True)

SECONDS = 1.5  # of a hammering
# "retyped" needs another column than the others.
ALIKE = [version for version in VERSIONS if version != "retyped"]
OTHERS = [version for version in ALIKE if version != "base"]

_numbers = count(1)


@pytest.fixture(autouse=True)
def table(transactional_db: None) -> Iterator[None]:  # noqa: ARG001 - it is there
    execute_unseen(
        f"CREATE TABLE {TABLE} (id int PRIMARY KEY, name varchar(50) NOT NULL, size int, "
        "note varchar(50) NOT NULL DEFAULT '', is_active bool NOT NULL DEFAULT true, "
        "code varchar(20) UNIQUE)"
    )
    yield
    execute_unseen(f"DROP TABLE {TABLE}")


@pytest.fixture
def pks() -> list[int]:
    found = [next(_numbers) for _ in range(3)]
    for pk in found:
        execute_unseen(f"INSERT INTO {TABLE} VALUES ({pk}, '0', 7, 'x', true, 'c{pk}')")  # noqa: S608 - ours
    return found


@pytest.fixture
def name(client: redis.Redis) -> Iterator[str]:
    """Of one application: in front of the keys of all its versions."""
    name = new_name()
    yield name
    for key in client.scan_iter(f"{name}:*"):
        client.delete(key)


EXPECTED: dict[str, dict[str, Any]] = {
    "base": {"size": 7},
    "added": {"size": 7, "note": "x"},
    "removed": {},
    "renamed": {"length": 7},
    "filtered": {"size": 7},
    "rekeyed": {"size": 7},
    "raised": {"size": 7},
}


def names(version: Version, pks: list[int]) -> list[str]:
    rows = version.read(*pks).rows
    return [rows[pk]["name"] for pk in pks]


def test_versions_that_are_alive_at_once_do_not_disturb_each_other(
    name: str, pks: list[int]
) -> None:
    with deployed(name, *ALIKE) as versions:
        for _ in range(2):
            for each in versions:
                expected = {"name": "0"} | EXPECTED[each.version]
                assert each.read(*pks).rows == dict.fromkeys(pks, expected), each.version

        assert [each.read(*pks).loads for each in versions] == [0] * len(versions)

        for turn, writer in enumerate(versions, 1):
            writer.write(pks[0], name=str(turn))

            expected_names = [str(turn), "0", "0"]
            assert [names(each, pks) for each in versions] == [expected_names] * len(versions)
        assert [each.read(*pks).loads for each in versions] == [0] * len(versions)


def test_a_row_that_leaves_one_versions_filter_stays_in_the_others(
    name: str, pks: list[int]
) -> None:
    with deployed(name, "base", "filtered") as (base, filtered):
        base.read(*pks)
        filtered.read(*pks)

        filtered.write(pks[0], is_active=False)

        assert list(base.read(*pks).rows) == pks
        assert list(filtered.read(*pks).rows) == pks[1:]


def test_versions_that_read_and_write_together_never_read_back(name: str, pks: list[int]) -> None:
    with deployed(name, "base", "added", "rekeyed") as versions:
        for each in versions:
            each.tell("hammer", pks, SECONDS)
        answers = [each.hear() for each in versions]

        assert [odd for _, odd in answers] == [[], [], []]
        stored = committed_names(pks)
        assert [names(each, pks) for each in versions] == [stored] * 3
        # Nobody's write is lost on the way: each turn counted one row up.
        assert sum(map(int, stored)) == sum(turns for turns, _ in answers)


@pytest.mark.parametrize("new", OTHERS)
def test_a_downgrade_and_a_second_upgrade(new: str, name: str, pks: list[int]) -> None:
    with deployed(name, "base") as (base,):
        with deployed(name, new) as (upgraded,):
            assert names(base, pks) == names(upgraded, pks)
        base.write(pks[0], name="1")
        assert base.read(pks[1]).loads == 0

        with deployed(name, new) as (again,):
            assert names(again, pks) == ["1", "0", "0"]
            again.write(pks[1], name="2")
            assert names(base, pks) == ["1", "2", "0"]


def test_the_next_version_is_warmed_before_its_first_reader(name: str, pks: list[int]) -> None:
    with deployed(name, "base") as (base,):
        base.read(*pks)
        with deployed(name, "added") as (deployer,):
            report = deployer.ask("warm").splitlines()
        base.write(pks[0], name="1")

        assert report[1].split()[:5] == ["item", "3", "3", "3", "0"]
        assert base.read(pks[1], pks[2]).loads == 0
        with deployed(name, "added") as (first,):
            assert first.read(pks[1], pks[2]).loads == 0
            assert names(first, pks) == ["1", "0", "0"]


def test_a_column_that_is_retyped_under_running_code_is_not_mis_read(
    name: str, pks: list[int]
) -> None:
    """Code whose field does not fit the column has what the database gives, and stores nothing."""
    first, *others = pks
    with deployed(name, "base", "retyped", may_say="NotStored(") as (base, retyped):
        for _ in range(2):
            base.read(*pks)
            early = retyped.read(*pks)
            assert (early.rows[first]["size"], early.loads) == (7, 3)
        assert base.read(*pks).loads == 0

        execute_unseen(f"ALTER TABLE {TABLE} ALTER COLUMN size TYPE numeric(12, 2)")
        retyped.write(first, size="1.50")

        for each in (retyped, base):
            assert each.read(*pks).rows[first]["size"] == "Decimal:1.50"
        assert retyped.read(*pks).loads == 0
        late = base.read(*pks)
        assert late.loads == 1
        assert [late.rows[pk]["size"] for pk in others] == [7, 7]


def committed_names(pks: list[int]) -> list[str]:
    with connections["default"].cursor() as cursor:
        cursor.execute(f"SELECT name FROM {TABLE} WHERE id = ANY(%s) ORDER BY id", [pks])  # noqa: S608 - ours
        return [name for (name,) in cursor.fetchall()]
