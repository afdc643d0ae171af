"""Marks of numbers: the sum that always closes."""

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.hub.store import dedupe
from edge_agent.hub.store.dedupe import Epoch, Epochs, every_epoch, save
from edge_agent.model.frame import Holding
from edge_agent.model.ranges import ranges_of

NUMBERS = st.sets(st.integers(0, 40))


@given(
    NUMBERS,
    NUMBERS,
    st.dictionaries(st.sampled_from(["quota", "age", "damaged"]), NUMBERS),
    NUMBERS,
    st.integers(0, 50),
)
def test_every_number_is_counted_once_whatever_was_claimed(
    stored: set[int], thinned: set[int], lost: dict[str, set[int]], held: set[int], following: int
) -> None:
    epoch = Epoch("telemetry")
    for number in stored:
        epoch.store(number, 3)
    epoch.thin(ranges_of(thinned))
    for reason, numbers in lost.items():
        epoch.lose(ranges_of(numbers), reason)
    claimed = [*stored, *thinned, *(number for numbers in lost.values() for number in numbers), *held]
    following = max(following, *(number + 1 for number in claimed), 0) if claimed else following
    epoch.hold(Holding("telemetry", 1, following, ranges_of(held)))
    found = epoch.sum()
    left = thinned - stored
    gone = set[int]().union(*lost.values()) - stored - thinned
    assert (found.next, found.stored, found.thinned) == (following, len(stored), len(left))
    assert sum(found.lost.values()) == len(gone)
    assert found.held == len(held - stored - thinned - gone)
    assert found.missing == ranges_of(set(range(following)) - stored - thinned - gone - held)
    assert found.readings == 3 * len(stored)


def test_next_never_falls_when_requests_overtake_each_other() -> None:
    epoch = Epoch("telemetry")
    epoch.hold(Holding("telemetry", 1, 10, ((7, 10),)))
    epoch.hold(Holding("telemetry", 1, 8, ((7, 8),)))
    assert epoch.next == 10


def test_numbers_in_order_take_one_range_however_many() -> None:
    epoch = Epoch("telemetry")
    for number in range(2000):
        epoch.store(number, 0)
    assert epoch.stored == ((0, 2000),)


@pytest.fixture
def connection() -> sqlite3.Connection:
    opened = sqlite3.connect(":memory:")
    opened.executescript(dedupe.SCHEMA)
    return opened


def test_an_epoch_is_one_row_and_comes_back_as_it_was(connection: sqlite3.Connection) -> None:
    largest = 2**63 - 1
    for numbers in ((5, 6), (2**62, largest)):
        epochs = Epochs(1)
        row = epochs.at(connection, largest, "telemetry")
        row.store(numbers[0], 150)
        row.thin((numbers,))
        row.lose(((1, 3),), "quota")
        row.hold(Holding("telemetry", largest, numbers[1], ((0, 1),)))
        save(connection, epochs.changed())
        assert epochs.changed() == []
    found = every_epoch(connection, 1)
    assert list(found) == [largest]
    assert found[largest].stored == ((5, 6), (2**62, 2**62 + 1))
    assert (found[largest].next, found[largest].readings) == (largest, 300)
    assert found[largest].lost == {"quota": ((1, 3),)}
    assert every_epoch(connection, 2) == {}
    connection.close()


def test_what_did_not_change_is_not_written(connection: sqlite3.Connection) -> None:
    epochs = Epochs(1)
    epochs.at(connection, 1, "telemetry").hold(Holding("telemetry", 1, 0, ()))
    save(connection, epochs.changed())
    assert every_epoch(connection, 1) == {}
    connection.close()
