"""Marks of numbers: the sum that always closes."""

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.hub.store import dedupe
from edge_agent.hub.store.dedupe import MOST_RANGES, Epoch, Epochs, every_epoch, save
from edge_agent.model.frame import Holding
from edge_agent.model.ranges import ranges_of, total

NUMBERS = st.sets(st.integers(0, 40))


@given(
    NUMBERS,
    NUMBERS,
    st.dictionaries(st.sampled_from(["quota", "age", "damaged", "unaccounted"]), NUMBERS),
    NUMBERS,
    st.integers(0, 50),
)
def test_every_number_is_counted_once_whatever_was_claimed(
    stored: set[int], thinned: set[int], lost: dict[str, set[int]], held: set[int], told: int
) -> None:
    epoch = Epoch("telemetry")
    for number in stored:
        epoch.store(number, 3)
    new = epoch.thin(ranges_of(thinned), 7)
    assert new == ranges_of(thinned - stored)
    for reason, numbers in lost.items():
        epoch.lose(ranges_of(numbers), reason)
    told = max([told, *(number + 1 for number in held)])
    epoch.hold(Holding("telemetry", 1, told, ranges_of(held)))
    claimed = {*stored, *thinned - stored, *(number for numbers in lost.values() for number in numbers), *held}
    following = max([told, *(number + 1 for number in claimed)])
    found = epoch.sum()
    left = thinned - stored
    gone = set[int]().union(*lost.values()) - stored - thinned
    waits = held - stored - thinned - gone
    nowhere = set(range(following)) - stored - thinned - gone - waits
    assert (found.next, found.stored, found.thinned) == (following, len(stored), len(left))
    assert sum(found.lost.values()) == len(gone) + sum(number < told for number in nowhere)
    assert found.held == len(waits)
    assert found.missing == ranges_of(number for number in nowhere if number >= told)
    assert (found.readings, found.thinned_readings) == (3 * len(stored), 7 if new else 0)
    assert found.next == found.stored + found.thinned + sum(found.lost.values()) + found.held + total(found.missing)


def test_next_never_falls_when_requests_overtake_each_other() -> None:
    epoch = Epoch("telemetry")
    epoch.hold(Holding("telemetry", 1, 10, ((7, 10),)))
    epoch.hold(Holding("telemetry", 1, 8, ((7, 8),)))
    assert (epoch.next, epoch.told) == (10, 10)


def test_a_frame_that_comes_late_is_lost_no_more() -> None:
    epoch = Epoch("telemetry")
    epoch.hold(Holding("telemetry", 1, 3, ()))
    assert epoch.sum().lost == {"unaccounted": 3}
    epoch.store(1, 5)
    assert (epoch.sum().stored, epoch.sum().lost) == (1, {"unaccounted": 2})
    epoch.lose(((0, 1),), "quota")
    epoch.lose(((2, 3),), "unaccounted")
    assert epoch.sum().lost == {"quota": 1, "unaccounted": 1}


def test_what_no_inventory_spoke_of_is_missing() -> None:
    epoch = Epoch("telemetry")
    epoch.store(5, 1)
    assert epoch.sum().missing == ((0, 5),)
    epoch.hold(Holding("telemetry", 1, 3, ((2, 3),)))
    found = epoch.sum()
    assert (found.lost, found.held, found.missing) == ({"unaccounted": 2}, 1, ((3, 5),))


def test_a_set_has_no_more_ranges_than_its_bound_and_the_sum_still_closes() -> None:
    epoch, many = Epoch("telemetry"), MOST_RANGES + 300
    for number in range(many):
        epoch.store(3 * number, 2)
    epoch.lose(((3 * number + 1, 3 * number + 2) for number in range(many)), "quota")
    epoch.hold(Holding("telemetry", 1, 3 * many, ()))
    assert len(epoch.stored) == len(epoch.lost["quota"]) == MOST_RANGES
    found = epoch.sum()
    assert found.stored == many
    assert found.lost == {"quota": MOST_RANGES, "unaccounted": 3 * many - many - MOST_RANGES}
    assert epoch.has(1), "a hole that is closed: the rows of frames know better"
    assert not epoch.has(3 * 300 + 1)
    epoch.store_in_hole(2)
    found = epoch.sum()
    assert (found.stored, sum(found.lost.values())) == (many + 1, 2 * many - 1)


def test_thinned_numbers_take_no_more_ranges_than_their_bound() -> None:
    epoch, many = Epoch("telemetry"), MOST_RANGES + 300
    epoch.thin(((2 * number, 2 * number + 1) for number in range(MOST_RANGES)), 1)
    assert len(epoch.thinned) == MOST_RANGES
    for number in range(300):
        epoch.store(2 * number + 1, 1)
    epoch.thin(((2 * number, 2 * number + 1) for number in range(MOST_RANGES, many)), 1)
    assert len(epoch.thinned) == MOST_RANGES, "what is stored between closes holes"
    assert (epoch.sum().thinned, epoch.sum().stored) == (many, 300)
    epoch.thin(((2 * number, 2 * number + 1) for number in range(many, many + 3)), 1)
    assert (len(epoch.thinned), epoch.sum().thinned) == (MOST_RANGES, many + 6)


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
        row.thin((numbers,), 9)
        row.lose(((1, 3),), "quota")
        row.hold(Holding("telemetry", largest, numbers[1], ((0, 1),)))
        save(connection, epochs.changed())
        assert epochs.changed() == []
    found = every_epoch(connection, 1)
    assert list(found) == [largest]
    assert found[largest].stored == ((5, 6), (2**62, 2**62 + 1))
    assert (found[largest].next, found[largest].told, found[largest].readings) == (largest, largest, 300)
    assert (found[largest].thinned, found[largest].thinned_readings) == (((2**62 + 1, largest),), 9)
    assert found[largest].lost == {"quota": ((1, 3),)}
    assert every_epoch(connection, 2) == {}
    connection.close()


def test_what_did_not_change_is_not_written(connection: sqlite3.Connection) -> None:
    epochs = Epochs(1)
    epochs.at(connection, 1, "telemetry").hold(Holding("telemetry", 1, 0, ()))
    save(connection, epochs.changed())
    assert every_epoch(connection, 1) == {}
    connection.close()


def test_an_inventory_that_names_none_of_very_many_epochs_settles_them_in_turns(connection: sqlite3.Connection) -> None:
    epochs, count = Epochs(1), 10_000
    for number in range(count):
        epochs.at(connection, number, "telemetry").store(0, 1)
    save(connection, epochs.changed())
    turns = list[int]()
    while not turns or turns[-1]:
        epochs.hold(connection, (), whole=True)
        turns.append(len(rows := epochs.changed()))
        save(connection, rows)
    assert sum(turns) == count
    assert max(turns) < count / 2
    assert all(row.told == row.next == 1 for row in every_epoch(connection, 1).values())
    connection.close()


def test_readings_that_a_device_made_up_never_pass_what_is_stored() -> None:
    epoch = Epoch("telemetry")
    for number in range(3):
        epoch.thin(((number, number + 1),), 2**62)
    assert epoch.thinned_readings == 2**62


def named(*epochs: int) -> list[Holding]:
    return [Holding("telemetry", epoch, 1, ((0, 1),)) for epoch in epochs]


def ranks(*inventories: list[Holding]) -> dict[int, int]:
    """The rank of each epoch after these inventories, each by a hub that was started again."""
    connection = sqlite3.connect(":memory:")
    connection.executescript(dedupe.SCHEMA)
    for inventory in inventories:
        epochs = Epochs(1)
        epochs.hold(connection, inventory, whole=True)
        save(connection, epochs.changed())
    found = {epoch: row.rank for epoch, row in every_epoch(connection, 1).items()}
    connection.close()
    return found


def test_epochs_are_ranked_in_the_order_in_which_inventories_name_them() -> None:
    assert ranks(named(50, 20)) == {50: 1, 20: 2}
    assert ranks(named(50), named(50, 20), named(20, 30, 10)) == {50: 1, 20: 2, 30: 3, 10: 4}
    assert ranks(named(50), named(20)) == {50: 1, 20: 2}


def test_an_epoch_that_is_named_late_before_others_never_gets_a_rank() -> None:
    assert ranks(named(50), named(20, 50, 30), named(20)) == {50: 1, 20: -1, 30: 2}
