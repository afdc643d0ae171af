"""Thinning at its bounds: stand-ins stay near their size and within the format, whatever the values are."""

import random

import orjson
import pytest

from edge_agent.model.ranges import Ranges, union
from edge_agent.model.reading import Reading, Tick
from edge_agent.wire.batch import survey, unzip
from edge_agent.wire.coarse import MOST_BYTES
from tests.wire.thinning import MOST, TEN, body, coarser, counter, gaps, gauge, only, thinned, windows


@pytest.mark.parametrize(("digits", "reach"), [(0, 2**32), (3, 2**40), (None, 1)])
def test_stand_ins_stay_near_their_size_however_little_they_compress(digits: int | None, reach: int) -> None:
    chance, ranges = random.Random(5), Ranges()
    names = [str(number) for number in range(60)]
    bodies = [
        body(
            Tick("a", (seq * 10 + beat) * 1000, tuple(gauge(chance.random() * reach, name, digits) for name in names))
            for beat in range(10)
        )
        for seq in range(110)
    ]
    found = thinned(bodies, window=2000)
    assert len(found) > 1
    for one in found:
        assert len(one.payload) < 1.1 * MOST_BYTES
        ranges = union(ranges, one.ranges)
    assert ranges == ((0, len(bodies)),)
    assert max(len(one.payload) for one in found) > MOST_BYTES / 2
    assert sum(survey(unzip(one.payload, MOST)).readings for one in found) == 110 * 10 * 60


def test_series_that_change_with_each_batch_stay_within_what_a_batch_may_hold() -> None:
    bodies = [
        body([Tick("gpu", seq * TEN, tuple(gauge(seq, f"{seq}-{index}") for index in range(4000)))]) for seq in range(3)
    ]
    found = thinned(bodies)
    assert [one.ranges for one in found] == [((0, 2),), ((2, 3),)]
    assert survey(unzip(found[0].payload, MOST)).readings == 8000


def test_values_at_the_ends_of_the_format_are_kept_or_absent_with_a_reason() -> None:
    most = 2**53
    wide = [Reading("wide", value, "1", digits=0) for value in (most, -most)]
    raw = [Reading("raw", value, "1", digits=None) for value in (1.7e308, 1.7e308)]
    deep = [Reading("deep", value, "1", digits=15) for value in (9.007, -9.007)]
    bodies = [body([Tick("a", 1000 * n, (wide[n], raw[n], deep[n]))]) for n in (0, 1)]
    found = {named[1].name: window for (named, _), window in windows(only(coarser(thinned(bodies)))).items()}
    assert found == {"wide": (0, -most, most, 2), "raw": (1.7e308, 1.7e308, 1.7e308, 2), "deep": (0, -9.007, 9.007, 2)}
    far = orjson.loads(body([Tick("a", 0, (wide[0], counter(7))), Tick("a", 1000, (wide[0], counter(8)))]))
    far["tracks"][0]["cells"] = [2**61, 2**61, 2**60, 1]
    batch = only(thinned([orjson.dumps(far)]))
    assert windows(batch) == {}
    assert {(name.name, at): reason for ((_, name), at), reason in gaps(batch, "gauge").items()} == {
        ("wide", 0): "too_large"
    }
    assert {(name.name, at): reason for ((_, name), at), reason in gaps(batch, "counter").items()} == {
        ("bytes", 1000): "too_large"
    }
