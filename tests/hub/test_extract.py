"""An extract tells what stands in its range and is wanted: readings at once, windows with what finer ones leave."""

from edge_agent.hub.extract import Extract, Placed, Read, Rows, Window
from edge_agent.hub.layers import Key
from edge_agent.hub.spans import Span
from edge_agent.hub.timeline import Timeline
from edge_agent.model.anchor import Anchor
from edge_agent.model.reading import Series
from edge_agent.wire.thins import Thins
from edge_agent.wire.track import Track

LINE = Timeline((Anchor(1000, 1000, 0),), 0)
POWER, HEAT = (Series(name, (), "", "gauge", 0, "") for name in ("power", "heat"))
FULL = Track("gpu", [0, 10, 20, 30], [POWER, HEAT], [[1.0, None, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]], [])
WINDOWS = Track("gpu", [0, 20], [POWER], [[2.0, 5.0]], [], [[1, 3]], [[4, 7]], [[3, 2]])
THINS = Thins(5, ((0, 9),), 20)
SPAN = Span(1000, 1, LINE, 9, 0, (5, 3))


def read(*made: tuple[Track, Thins | None]) -> Read:
    """Whatever a payload holds, these tracks."""
    return lambda payload, _span: () if payload is None else made


def everything(_key: Key) -> bool:
    return True


def test_a_full_track_tells_the_instants_that_stand_in_the_range() -> None:
    (rows,) = Extract(1010, 1030, read((FULL, None)), everything).take([(b"x", SPAN)])
    assert isinstance(rows, Rows)
    assert [(place, stamp.ts) for place, stamp in rows.stamps] == [(1, 1010), (2, 1020)]
    assert [(key, list(column)) for key, column in rows.columns] == [
        (("gpu", POWER), [1.0, None, 3.0, 4.0]),
        (("gpu", HEAT), [5.0, 6.0, 7.0, 8.0]),
    ]


def test_what_is_not_wanted_or_not_there_tells_nothing() -> None:
    (rows,) = Extract(0, 9000, read((FULL, None)), lambda key: key[1] is HEAT).take([(b"x", SPAN)])
    assert isinstance(rows, Rows)
    assert [key for key, _ in rows.columns] == [("gpu", HEAT)]
    for start, wants in ((0, lambda _key: False), (2000, everything)):
        assert list(Extract(start, 9000, read((FULL, None), (WINDOWS, THINS)), wants).take([(b"x", SPAN)])) == []
    assert list(Extract(0, 9000, read((FULL, None)), everything).take([(None, SPAN)])) == []


def test_a_window_is_told_with_what_finer_frames_leave_of_it_and_knows_its_axis_time() -> None:
    extract = Extract(1000, 1040, read((WINDOWS, THINS), (FULL, None)), everything)
    told = list(extract.take([(b"x", SPAN)]))
    windows = [one for one in told if isinstance(one, Window)]
    assert len(told) == len(windows) + 1
    (first,) = windows
    assert (first.key, first.raw.value, first.raw.readings) == (("gpu", POWER), 2.5, 2)
    assert isinstance(first.raw.stamp, Placed)
    assert (first.raw.stamp.ts, first.raw.stamp.at) == (1010, 10)
    assert len(extract.layers) == 0


def test_what_lies_beside_the_range_is_read_only_as_far_as_a_window_may_reach() -> None:
    extract = Extract(1000, 1040, read((WINDOWS, THINS)), everything)
    assert list(extract.take([(b"x", SPAN._replace(beyond=11))])) == []
    assert [type(one) for one in extract.take([(b"x", SPAN)])] == [Window, Window]
    for beyond, found in ((10, [Window, Window]), (11, [])):
        assert [type(one) for one in extract.take([(b"x", SPAN._replace(beyond=beyond))])] == found
