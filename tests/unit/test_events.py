"""Who is told of what happened, and what becomes of observers that fail."""

import logging

import pytest

from refcache.core import events
from refcache.core.events import (
    BreakerClosed,
    BreakerOpened,
    Changed,
    CorruptEntry,
    Event,
    EventCounts,
    FillRefused,
    KeyRejected,
    Marked,
    NotLoaded,
    NotStored,
    Observers,
    PerRow,
    Refreshing,
    RefreshRefused,
    Relayed,
    Released,
    Resolved,
    RowsLoaded,
    ServedStale,
    ServerChanged,
    StoreFailed,
    StoreLeftAlone,
    log_troubles,
)

LOADED = RowsLoaded("customer", 3)

TROUBLES = [
    StoreFailed("customer", "mark", "refused"),
    CorruptEntry("customer", b"test:customer:1"),
    PerRow("customer", "outside the page"),
    NotStored("customer", "column 'name'"),
    NotLoaded("customer", 2, "refused"),
    RefreshRefused("customer", 2, "busy"),
    BreakerOpened("", "timeout"),
    BreakerClosed("", 1.5),
    ServerChanged("", 1, 2),
]
ROUTINE = [
    LOADED,
    KeyRejected("customer", "'abc' is not a key"),
    Resolved("customer", 1, 2, 3),
    FillRefused("customer", 1),
    Marked("customer", 1),
    Changed("customer", (1,), "save"),
    Released("customer", 1),
    Relayed("", "default", (0.002,)),
    ServedStale("customer", 2, "past its TTL, being refreshed"),
    Refreshing("customer", 2),
    StoreLeftAlone(""),
]


def test_every_observer_is_told_in_order() -> None:
    told: list[tuple[str, Event]] = []
    observers = Observers([lambda event: told.append(("first", event))])
    observers.subscribe(lambda event: told.append(("second", event)))

    observers.emit(LOADED)

    assert told == [("first", LOADED), ("second", LOADED)]


def test_who_unsubscribes_is_told_no_more() -> None:
    told: list[Event] = []
    observers = Observers([told.append])
    observers.subscribe(observer := EventCounts())
    observers.emit(LOADED)

    observers.unsubscribe(observer)
    observers.emit(LOADED)

    assert observer.of(RowsLoaded) == 1
    assert told == [LOADED, LOADED]


def test_an_observer_that_raises_is_logged_and_skipped(caplog: pytest.LogCaptureFixture) -> None:
    counts = EventCounts()

    def fail(_: Event) -> None:
        raise RuntimeError("an observer's own fault")

    Observers([fail, counts]).emit(LOADED)

    assert counts.of(RowsLoaded) == 1
    assert "an observer's own fault" in caplog.text
    assert repr(LOADED) in caplog.text


def test_an_observer_may_leave_while_it_is_told() -> None:
    counts = EventCounts()
    observers = Observers()

    def once(_: Event) -> None:
        observers.unsubscribe(once)

    observers.subscribe(once)
    observers.subscribe(counts)

    observers.emit(LOADED)

    assert counts.of(RowsLoaded) == 1


def test_events_are_counted_by_kind_and_by_reference() -> None:
    counts = EventCounts()
    for event in (LOADED, RowsLoaded("device", 1), LOADED, Marked("customer", 1)):
        counts(event)

    assert counts.of(RowsLoaded) == 3
    assert counts.of(RowsLoaded, "customer") == 2
    assert counts.of(Marked) == 1
    assert counts.of(Released) == counts.of(RowsLoaded, "nobody") == 0


@pytest.mark.parametrize("event", TROUBLES, ids=lambda event: type(event).__name__)
def test_troubles_are_warnings(caplog: pytest.LogCaptureFixture, event: Event) -> None:
    log_troubles(event)

    (record,) = caplog.records
    assert (record.name, record.levelno) == ("refcache", logging.WARNING)
    assert record.getMessage() == repr(event)


@pytest.mark.parametrize("event", ROUTINE, ids=lambda event: type(event).__name__)
def test_routine_is_no_warning(caplog: pytest.LogCaptureFixture, event: Event) -> None:
    with caplog.at_level(logging.INFO):
        log_troubles(event)

    assert caplog.records == []


def test_every_event_is_one_or_the_other() -> None:
    known = {type(event) for event in (*TROUBLES, *ROUTINE)}

    defined = [each for each in vars(events).values() if isinstance(each, type)]
    assert {each for each in defined if issubclass(each, Event)} - {Event} == known
