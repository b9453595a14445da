"""Weaker designs: the search finds out each of them, so it would find out a weak protocol."""

import pytest

from refcache.core.rules import Rules
from refcache.core.writes import release
from tests.simulation import broken_rules
from tests.simulation.behaviours import Behaviour, release_before_the_end, touched, writer
from tests.simulation.model import Model
from tests.simulation.settings import (
    FIRST,
    LAGGING_READER,
    LAGGING_WRITES,
    READER,
    SECOND,
    Make,
    listed,
    replicas,
)
from tests.simulation.states import Setting

DELETES_AFTER_COMMIT = Behaviour(writer(1, touched(), before=None, after=release), is_writer=True)
RELEASES_TOO_EARLY = Behaviour(release_before_the_end(1, touched()), is_writer=True)
DELETES_BEFORE_AND_AFTER = Behaviour(
    writer(1, touched(), before=release, after=release), is_writer=True
)

CONTROLS: dict[str, Make] = {
    "deleting after commit": listed(READER, DELETES_AFTER_COMMIT),
    "leases without markers": listed(READER, DELETES_BEFORE_AND_AFTER),
    "a release before the commit": listed(READER, RELEASES_TOO_EARLY),
    "a marker with one owner": lambda _: Setting(
        listed(READER)(Rules()).sources,
        [READER, FIRST, SECOND],
        broken_rules.MarkerHasOneOwner(),
        announced=True,
    ),
    "with replicas, a lease that lapses to none": lambda _: replicas(
        LAGGING_READER, LAGGING_READER, LAGGING_WRITES
    )(broken_rules.LeaseForgetsTombstone()),
    "with replicas, a replica read after a write": lambda _: replicas(
        LAGGING_READER, LAGGING_READER, LAGGING_WRITES
    )(broken_rules.TombstoneGivesAnyLease()),
}


@pytest.mark.parametrize("name", CONTROLS)
def test_a_weaker_design_is_found_out(name: str) -> None:
    found = Model(CONTROLS[name](Rules())).search()

    print(name, *found.schedule, sep="\n  ")  # noqa: T201 - pytest -rP shows it
    assert found.schedule
